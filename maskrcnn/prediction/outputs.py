"""What is written of each prediction, each kind in a folder of its own."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from maskrcnn.data.convert.annotated import Object
from maskrcnn.data.convert.labelme_write import labelme_text
from maskrcnn.data.convert.outlines import join, outline
from maskrcnn.data.convert.yolo_write import yolo_line
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.prediction.sources import Clip, Frame
from maskrcnn.prediction.video import VideoWriter
from maskrcnn.visualize.instances import draw_instances
from maskrcnn.visualize.sheet import save_png
from maskrcnn.visualize.splash import colour_splash

Kind = Literal["pictures", "splash", "masks", "yolo", "labelme", "coco", "stages"]

# Where each kind lies below the folder of outputs: a folder or a file, and what else it writes.
PLACES: dict[Kind, tuple[str, ...]] = {
    "pictures": ("pictures",),
    "splash": ("splash",),
    "masks": ("masks",),
    "yolo": ("labels", "classes.txt"),
    "labelme": ("labelme",),
    "coco": ("detections.json",),
    "stages": ("stages",),
}

DrawStages = Callable[[str, np.ndarray], np.ndarray]


class Output(Protocol):
    """Somewhere that predictions are written to."""

    def write(self, frame: Frame, found: Prediction) -> None:
        """Writes what was found in one picture or frame.

        Raises:
            ValueError, OSError: it could not be written.
        """

    def close(self) -> None:
        """Ends what is open; without this the last file is not whole."""
        return  # most leave nothing open


def _place(path: Path) -> Path:
    """A file to write: in a folder that is there, and no link, which may lead to what must not be written over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    return path


def _file(folder: Path, name: Path, suffix: str) -> Path:
    return _place(folder / name.with_name(name.name + suffix))


def draw(picture: np.ndarray, found: Prediction) -> np.ndarray:
    """What was found, drawn over its picture as `draw_instances` does."""
    return draw_instances(picture, found.instances(), found.classes)


class DrawnPictures(Output):
    """Pictures as name.png, videos as name.mp4.

    Args:
        folder: for them.
        draw: makes the picture [H, W, 3] u8 RGB that is written.
    """

    def __init__(self, folder: Path, draw: Callable[[np.ndarray, Prediction], np.ndarray]) -> None:
        self.folder, self.draw = folder, draw
        self.clip: Clip | None = None
        self.video: VideoWriter | None = None

    def write(self, frame: Frame, found: Prediction) -> None:
        if self.clip != frame.clip:
            self.close()
        drawn = self.draw(frame.pixels, found)
        if frame.clip is None:
            save_png(_file(self.folder, frame.name, ".png"), drawn)
            return
        if self.video is None:
            self.clip = frame.clip
            self.video = VideoWriter(_file(self.folder, frame.clip.name, ".mp4"), frame.clip.rate)
        self.video.write(drawn)

    def close(self) -> None:
        if self.video is not None:
            self.video.close()
        self.clip = self.video = None


class LabelMaps(Output):
    """Masks as PNG: 0 where nothing is, n where the n-th best instance is; the better one where two overlap. Of 8 bits,
    or of 16 where there are more than 255.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: Frame, found: Prediction) -> None:
        count = len(found.results)
        if count > np.iinfo(np.uint16).max:
            raise ValueError(f"{count} instances are more than a label map of 16 bits holds: raise score_threshold")
        labels = np.zeros(found.size, np.uint8 if count <= np.iinfo(np.uint8).max else np.uint16)
        for number, (values, top, left) in reversed(list(enumerate(found.crops(), start=1))):
            labels[top : top + values.shape[0], left : left + values.shape[1]][values] = number
        _file(self.folder, frame.name, ".png").write_bytes(cv2.imencode(".png", labels)[1].tobytes())


class StageSheets(Output):
    """What the network sees and does stage by stage, a PNG for each picture or frame.

    Args:
        folder: for them.
        draw: makes the sheet of a whole picture from its name and pixels.
    """

    def __init__(self, folder: Path, draw: DrawStages) -> None:
        self.folder, self.draw = folder, draw

    def write(self, frame: Frame, found: Prediction) -> None:
        save_png(_file(self.folder, frame.name, ".png"), self.draw(frame.name.name, frame.pixels))


class YoloLabels(Output):
    """YOLO's segmentation labels, for each picture a file of one polygon an instance.

    Args:
        folder: for them; classes: name of each label, for classes.txt beside the folder.
    """

    def __init__(self, folder: Path, classes: list[str]) -> None:
        self.folder = folder
        names = "".join(f"{name}\n" for name in classes)
        _place(folder.parent / "classes.txt").write_text(names, encoding="utf-8")

    def write(self, frame: Frame, found: Prediction) -> None:
        height, width = found.size
        lines = [
            yolo_line(label, join([line for part in parts for line in part]) / (width, height))
            for label, parts in _outlines(found)
        ]
        _file(self.folder, frame.name, ".txt").write_text("".join(lines), encoding="utf-8")


class LabelmeFiles(Output):
    """LabelMe's files, each of which names its picture where that is. Frames of videos lie beside theirs as PNG."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: Frame, found: Prediction) -> None:
        file = _file(self.folder, frame.name, ".json")
        picture = frame.path
        if frame.clip is not None:
            picture = _file(self.folder, frame.name, ".png")
            save_png(picture, frame.pixels)
        # By real folders, as ".." does not lead back through a link.
        way = os.path.relpath(picture.parent.resolve() / picture.name, file.parent.resolve())
        instances = ((found.classes[label], parts) for label, parts in _outlines(found))
        file.write_text(labelme_text(Path(way).as_posix(), found.size, instances), encoding="utf-8")


def _outlines(found: Prediction) -> Iterator[tuple[int, list[list[np.ndarray]]]]:
    """Label and `outline` of each instance that has a pixel."""
    for result, crop in zip(found.results, found.crops()):
        if crop.values.any():
            counts = result["segmentation"]["counts"].encode("ascii")
            yield result["category_id"], outline(Object(result["category_id"], None, counts, False), found.size[0])


class CocoResults(Output):
    """COCO's results format in one file, a line for each instance as soon as it is found."""

    def __init__(self, path: Path, category_ids: list[int | str]) -> None:
        self.category_ids = category_ids
        self.file = _place(path).open("w", encoding="utf-8")
        self.file.write("[")
        self.separator = "\n"

    def write(self, frame: Frame, found: Prediction) -> None:
        for result in found.results:
            category_id = self.category_ids[result["category_id"]]
            line = json.dumps({**result, "image_id": frame.image_id, "category_id": category_id})
            self.file.write(self.separator + line)
            self.separator = ",\n"

    def close(self) -> None:
        self.file.write("\n]\n")
        self.file.close()


def written(folder: Path) -> dict[Path, int]:
    """Files that lie where outputs of any kind would, with the time (ns) that each was last written at."""
    places = [folder / name for names in PLACES.values() for name in names]
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place]) if file.is_file()]
    return {file: file.stat().st_mtime_ns for file in files}


def make_output(
    kind: Kind, folder: Path, classes: list[str], category_ids: list[int | str], draw_stages: DrawStages
) -> Output:
    """One kind of output below a folder.

    Args:
        kind: which; folder: which is there.
        classes: name of each label; category_ids: id of each label in the results.
        draw_stages: of `StageSheets`.
    """
    place = folder / PLACES[kind][0]
    if kind == "pictures":
        return DrawnPictures(place, draw)
    if kind == "splash":
        return DrawnPictures(place, lambda picture, found: colour_splash(picture, found.crops()))
    if kind == "masks":
        return LabelMaps(place)
    if kind == "stages":
        return StageSheets(place, draw_stages)
    if kind == "yolo":
        return YoloLabels(place, classes)
    if kind == "labelme":
        return LabelmeFiles(place)
    return CocoResults(place, category_ids)
