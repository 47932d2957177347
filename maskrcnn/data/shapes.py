"""A data set of drawn shapes in COCO's format: to learn with, and easy enough for a high AP in minutes."""

import json
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from filelock import FileLock

from maskrcnn.data.draw_shapes import CLASSES, HEIGHT, WIDTH, Drawing, draw_shapes
from maskrcnn.data.outline import outline_polygons
from maskrcnn.data.progress import follow
from maskrcnn.data.source import Split, Splits

VERSION = 1  # to be raised when the pictures of the same parameters change
PARAMETERS = "shapes.json"
# Without compression: 0.25 ms to read instead of 1.2 ms with the fastest one, for twice the size (148 kB a picture).
PLAIN_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 0, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
PLAIN_PNG += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]


class ShapesSource:
    """Writes circles, squares, triangles and stars on textured ground, once; the same pictures for the same seeds.

    Below the root lie `train/*.png`, `train.json`, `val/*.png`, `val.json` and `shapes.json` with the parameters. A
    root that holds shapes of other parameters stays as it is: these are drawn beside it, into a folder named by their
    numbers, such as shapes_100_20_1_2.

    Args:
        train_pictures, val_pictures: how many to draw, at least 1.
        train_seed, val_seed: of the drawing, from 0 on; they must differ, or validation would see training pictures.
    """

    def __init__(self, *, train_pictures: int, val_pictures: int, train_seed: int, val_seed: int) -> None:
        if min(train_pictures, val_pictures) < 1:
            raise ValueError(f"train_pictures is {train_pictures}, val_pictures {val_pictures}; give 1 or more")
        if train_seed == val_seed or min(train_seed, val_seed) < 0:
            raise ValueError(f"train_seed is {train_seed}, val_seed {val_seed}; give two that differ, from 0 on")
        self.parts = {"train": (train_pictures, train_seed), "val": (val_pictures, val_seed)}
        self.parameters = {
            "version": VERSION,
            "train_pictures": train_pictures,
            "val_pictures": val_pictures,
            "train_seed": train_seed,
            "val_seed": val_seed,
        }

    def prepare(self, root: Path) -> None:
        """Draws the data set if it is not there. It appears as a whole or not at all.

        Raises:
            ValueError: the folder holds something else: foreign files, or shapes of another version.
        """
        if self._is_drawn(self._place(root)):
            return
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.parent / f".{root.name}.lock"):  # the processes of a run start at once: one draws
            self._draw_into(self._place(root))  # a run of other parameters may have drawn into the root meanwhile

    def _draw_into(self, root: Path) -> None:
        if self._is_drawn(root):
            return
        partial = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
        try:
            self._write(partial)
            partial.chmod(0o755)
            os.replace(partial, root)  # replaces an empty directory, fails on one that another process has just filled
        except OSError:
            if not self._is_drawn(root):
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def splits(self, root: Path) -> list[Splits]:
        place = self._place(root)
        return [Splits(Split(place / "train", place / "train.json"), Split(place / "val", place / "val.json"))]

    def _place(self, root: Path) -> Path:
        """The folder of these shapes."""
        file = root / PARAMETERS
        if not file.is_file() or json.loads(file.read_text(encoding="utf-8")) == self.parameters:
            return root
        numbers = [str(value) for key, value in self.parameters.items() if key != "version"]
        return root.with_name("_".join([root.name, *numbers]))

    def _is_drawn(self, root: Path) -> bool:
        """Whether a folder holds these shapes; raises the errors of `prepare` where it holds anything else."""
        if not root.exists() or not any(root.iterdir()):
            return False
        if not (root / PARAMETERS).is_file():
            raise ValueError(f"{root} holds something else than drawn shapes: set data.root to another directory")
        found = json.loads((root / PARAMETERS).read_text(encoding="utf-8"))
        if found != self.parameters:
            raise ValueError(
                f"{root} holds shapes drawn with {found}, but the configuration asks for {self.parameters}: "
                "delete that directory, or set data.root to another one"
            )
        return True

    def _write(self, root: Path) -> None:
        with ProcessPoolExecutor() as pool:
            for part, (pictures, seed) in self.parts.items():
                (root / part).mkdir()
                images: list[dict[str, Any]] = []
                annotations: list[dict[str, Any]] = []
                drawn = pool.map(_draw, repeat(root / part), repeat(seed), range(pictures), chunksize=16)
                for i, found in enumerate(follow(drawn, pictures, f"drawing shapes ({part})")):
                    images.append({"id": i + 1, "file_name": _name(i), "height": HEIGHT, "width": WIDTH})
                    for annotation in found:
                        annotations.append({"id": len(annotations) + 1, "image_id": i + 1, **annotation})
                dataset = {
                    "info": {"description": f"shapes, {part}"},
                    "images": images,
                    "annotations": annotations,
                    "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
                }
                (root / f"{part}.json").write_text(json.dumps(dataset), encoding="utf-8")
        (root / PARAMETERS).write_text(json.dumps(self.parameters), encoding="utf-8")


def _name(index: int) -> str:
    return f"{index:06d}.png"


def _draw(folder: Path, seed: int, index: int) -> list[dict[str, Any]]:
    """Draws one picture, a function of (seed, index) alone; returns its annotations without ids."""
    drawing = draw_shapes(np.random.default_rng([seed, index]))
    if not cv2.imwrite(str(folder / _name(index)), drawing.image[..., ::-1], PLAIN_PNG):
        raise OSError(f"could not write {folder / _name(index)}")
    return _annotate(drawing)


def _annotate(drawing: Drawing) -> list[dict[str, Any]]:
    """COCO annotations of a drawing without ids: polygons for the objects, an uncompressed RLE for the crowd region."""
    annotations = []
    for label, mask in zip(drawing.labels, drawing.masks, strict=True):
        annotations.append(
            {"category_id": label + 1, "segmentation": outline_polygons(mask), "iscrowd": 0, **_measures(mask)}
        )
    if drawing.crowd is not None:
        label, region = drawing.crowd
        # COCO's files hold crowds as plain run lengths, column by column, starting with a run of zeros.
        changes = np.flatnonzero(np.diff(region.ravel(order="F"), prepend=False))
        counts = np.diff([0, *changes, region.size]).tolist()
        segmentation = {"size": [HEIGHT, WIDTH], "counts": counts}
        annotations.append({"category_id": label + 1, "segmentation": segmentation, "iscrowd": 1, **_measures(region)})
    return annotations


def _measures(mask: np.ndarray) -> dict[str, Any]:
    return {"area": int(np.count_nonzero(mask)), "bbox": list(cv2.boundingRect(mask.view(np.uint8)))}
