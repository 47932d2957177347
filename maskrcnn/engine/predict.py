"""Finds instances in picture files and writes annotated pictures and a COCO results file."""

import glob
import json
from pathlib import Path

from rich.console import Console
from rich.progress import track

from maskrcnn.engine.predictor import Predictor
from maskrcnn.engine.restore import restore
from maskrcnn.visualize.instances import Instances, draw_instances
from maskrcnn.visualize.sheet import save_png

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def find_pictures(source: str) -> list[Path]:
    """The picture files that a source names: one file, a folder's pictures, or a glob.

    Raises:
        ValueError: there are none.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(source, recursive=True))
    pictures = sorted(p for p in found if p.is_file() and p.suffix.lower() in SUFFIXES)
    if not pictures:
        reason = "no picture in this folder" if path.is_dir() else "no such file, and no picture matches it as a glob"
        raise ValueError(f"source={source}: {reason}; pictures end in {', '.join(sorted(SUFFIXES))}")
    return pictures


def predict(
    *,
    checkpoint: str,
    source: str,
    output: str,
    score_threshold: float,
    override: list[str],
    device: str,
    plugins: list[str],
) -> None:
    """Finds instances in pictures. A picture that cannot be read is reported and skipped.

    Args:
        checkpoint: the file.
        source: a picture, a folder of pictures, or a glob.
        output: folder for the annotated pictures, as PNG, and detections.json.
        score_threshold: what scores less is left out.
        override: changes to the checkpoint's configuration; device: such as cpu or cuda; plugins: packages of yours.

    Raises:
        ValueError: the checkpoint is refused, there are no pictures, or none of them can be read.
    """
    console = Console()
    pictures = find_pictures(source)
    predictor = Predictor(restore(checkpoint, override, plugins), device)
    directory = Path(output)
    directory.mkdir(parents=True, exist_ok=True)
    results, skipped = [], 0
    for path in track(pictures, description="predicting", console=console, disable=not console.is_terminal):
        try:
            image = predictor.read(path, None)
        except ValueError as error:
            console.print(f"skipped: {error}", highlight=False, soft_wrap=True)
            skipped += 1
            continue
        found = predictor.predict(image, score_threshold)
        instances = Instances(found.boxes, found.labels, found.scores, list(found.masks))
        # The whole name, so that a.png and a.jpg do not overwrite each other.
        save_png(directory / f"{path.name}.png", draw_instances(image, instances, predictor.classes))
        results += [
            {**r, "image_id": path.name, "category_id": predictor.category_ids[r["category_id"]]} for r in found.results
        ]
    (directory / "detections.json").write_text(json.dumps(results) + "\n")
    if skipped == len(pictures):
        raise ValueError(f"source={source}: none of the {skipped} pictures could be read")
    if not results:
        console.print(f"nothing scored {score_threshold} or more; try a lower score_threshold", highlight=False)
    console.print(f"{len(results)} instances in {len(pictures) - skipped} pictures; wrote {directory}", highlight=False)
