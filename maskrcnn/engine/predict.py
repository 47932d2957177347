"""Finds instances in picture files and writes annotated pictures and a COCO results file."""

import glob
import json
import os
from collections import Counter
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
    pictures = sorted({p for p in found if p.is_file() and p.suffix.lower() in SUFFIXES})
    if not pictures:
        inside = f"no picture in this folder (for those of its sub-folders, give 'source=\"{source.rstrip('/')}/**\"')"
        reason = inside if path.is_dir() else "no such file, and no picture matches it as a glob"
        raise ValueError(f"source={source}: {reason}; pictures end in {', '.join(sorted(SUFFIXES))}")
    return pictures


def name_outputs(pictures: list[Path]) -> dict[Path, Path]:
    """Where below the output folder each annotated picture goes: sub/a.png for sub/a.jpg, with the sub-folders that
    the pictures have below the folder that holds all of them.

    Where two pictures would get the same name, each keeps its suffix (a.jpg.png, a.png.png), so that none is lost.
    """
    top = os.path.commonpath([picture.parent for picture in pictures])
    below = {picture: picture.relative_to(top) for picture in pictures}
    short = {picture: path.with_suffix(".png") for picture, path in below.items()}
    full = {picture: path.with_name(f"{path.name}.png") for picture, path in below.items()}
    # A name that is another picture's in either form is not used. Some file systems take A.png and a.png for one.
    taken = Counter(str(name).lower() for picture in pictures for name in {short[picture], full[picture]})
    return {p: short[p] if taken[str(short[p]).lower()] == 1 else full[p] for p in pictures}


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
    """Finds instances in pictures. A picture that cannot be read is named, at once and in the summary, and left out.

    Args:
        checkpoint: the file.
        source: a picture, a folder of pictures, or a glob.
        output: folder for the annotated pictures, as PNG, and detections.json; not the pictures' own.
        score_threshold: what scores less is left out.
        override: changes to the checkpoint's configuration; device: such as cpu or cuda; plugins: packages of yours.

    Raises:
        ValueError: the checkpoint is refused, there are no pictures, none of them can be read, or one lies where the
            annotated ones would be written.
    """
    console = Console()
    pictures = find_pictures(source)
    directory = Path(output)
    outputs = name_outputs(pictures)
    own = {picture.parent.resolve() for picture in pictures}
    if any((directory / path).parent.resolve() in own for path in outputs.values()):
        raise ValueError(
            f"output={output} holds pictures of source={source}; give another folder, so that none is lost"
        )
    predictor = Predictor(restore(checkpoint, override, plugins), device)
    directory.mkdir(parents=True, exist_ok=True)
    results, skipped = [], []
    for path in track(pictures, description="predicting", console=console, disable=not console.is_terminal):
        try:
            image = predictor.read(path, None)
        except (ValueError, OSError) as error:
            console.print(f"skipped: {error}", highlight=False, markup=False, soft_wrap=True)
            skipped.append(path)
            continue
        found = predictor.predict(image, score_threshold)
        instances = Instances(found.boxes, found.labels, found.scores, list(found.masks))
        (directory / outputs[path]).parent.mkdir(parents=True, exist_ok=True)
        save_png(directory / outputs[path], draw_instances(image, instances, predictor.classes))
        image_id = outputs[path].with_name(path.name).as_posix()
        results += [
            {**r, "image_id": image_id, "category_id": predictor.category_ids[r["category_id"]]} for r in found.results
        ]
    if len(skipped) == len(pictures):
        raise ValueError(f"source={source}: none of the {len(skipped)} pictures could be read")
    (directory / "detections.json").write_text(json.dumps(results) + "\n")
    if not results:
        console.print(f"nothing scored {score_threshold} or more; try a lower score_threshold", highlight=False)
    summary = f"{len(results)} instances in {len(pictures) - len(skipped)} pictures; wrote {directory}"
    if skipped:
        names = ", ".join(path.name for path in skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        summary += f"; could not read {len(skipped)} of {len(pictures)}: {names}"
    console.print(summary, highlight=False, markup=False, soft_wrap=True)
