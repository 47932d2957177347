"""Writes YOLO's segmentation labels: one polygon an object, whatever its mask was."""

from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from maskrcnn.data.convert.annotated import Annotated, Findings, Picture
from maskrcnn.data.convert.outlines import join, outline
from maskrcnn.data.convert.output import appearing, place_pictures
from maskrcnn.data.convert.yolo import label_path

DECIMALS = 10  # of a coordinate: finer than 64-bit floats come back from pixels


def write_yolo(annotated: Annotated, out: Path, *, split: str, pictures: Literal["copy", "symlink"]) -> None:
    """Writes a folder with images/, labels/ and data.yaml.

    Polygons are kept. Masks become the outlines of their pixels. Parts and holes of an object are joined by lines there
    and back between their nearest corners, which add no area. Lost, and counted in the findings as the joined ones are:
    crowd regions, which the format does not know; what lies outside the picture, which is moved onto its border.

    Args:
        annotated: the data set; its findings are appended to.
        out: the folder, which must not exist.
        split: key of data.yaml that these pictures get. Ultralytics needs train and val.
        pictures: whether to copy them or to link to where they are.

    Raises:
        ValueError: `out` is there, or two pictures would have the same label file.
    """
    with appearing(out) as partial:
        for folder in ("images", "labels"):
            (partial / folder).mkdir(parents=True)
        for picture, labels in place_pictures(annotated, partial / "images", pictures, label_path):
            labels.write_text("".join(_lines(picture, annotated.findings)), encoding="utf-8")
        entry = {split: "images", "names": dict(enumerate(annotated.classes))}
        (partial / "data.yaml").write_text(yaml.safe_dump(entry, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _lines(picture: Picture, findings: Findings) -> list[str]:
    lines = []
    size = np.array([picture.width, picture.height])
    for found in picture.objects:
        if found.crowd:
            findings.setdefault("crowd regions: left out, YOLO has none", []).append(picture.path.name)
            continue
        outlines = [line for part in outline(found, picture.height) for line in part]
        if len(outlines) > 1:
            findings.setdefault("objects of several parts, or with holes: joined by lines", []).append(
                picture.path.name
            )
        points = join(outlines) / size
        inside = points.clip(0, 1)
        if np.abs(points - inside).max() > 1e-9:
            findings.setdefault("objects that reach over the border: moved onto it", []).append(picture.path.name)
        lines.append(yolo_line(found.label, inside))
    return lines


def yolo_line(label: int, points: np.ndarray) -> str:
    """A line of a label file: class and polygon [n, 2], as fractions of the picture's width and height."""
    numbers = (f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") for value in points.ravel().tolist())
    return f"{label} {' '.join(numbers)}\n"
