"""Writes YOLO's segmentation labels: one polygon an object, whatever its mask was."""

import os
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pycocotools import mask as coco_mask

from maskrcnn.data.convert.annotated import Annotated, Findings, Object, Picture
from maskrcnn.data.convert.output import appearing
from maskrcnn.data.convert.yolo import label_path
from maskrcnn.data.outline import outline_polygons
from maskrcnn.data.rle import decode_window

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
        (partial / "images").mkdir(parents=True)
        (partial / "labels").mkdir()
        owners: dict[Path, Path] = {}
        for picture in annotated.pictures:
            name = os.path.relpath(picture.path, annotated.root)
            target = partial / "images" / (picture.path.name if name.startswith("..") else name)
            labels = label_path(target)
            if labels in owners:
                raise ValueError(
                    f"{picture.path} and {owners[labels]} would share the label file {labels.name}: rename one of them"
                )
            owners[labels] = picture.path
            for path in (target, labels):
                path.parent.mkdir(parents=True, exist_ok=True)
            if pictures == "copy":
                shutil.copyfile(picture.path, target)
            else:
                target.symlink_to(picture.path.resolve())
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
        polygons = found.polygons
        parts = outline(found, picture.height) if polygons is None else [np.array(p).reshape(-1, 2) for p in polygons]
        if len(parts) > 1:
            findings.setdefault("objects of several parts, or with holes: joined by lines", []).append(
                picture.path.name
            )
        points = join(parts) / size
        inside = points.clip(0, 1)
        if np.abs(points - inside).max() > 1e-9:
            findings.setdefault("objects that reach over the border: moved onto it", []).append(picture.path.name)
        lines.append(yolo_line(found.label, inside))
    return lines


def yolo_line(label: int, points: np.ndarray) -> str:
    """A line of a label file: class and polygon [n, 2], as fractions of the picture's width and height."""
    numbers = (f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") for value in points.ravel().tolist())
    return f"{label} {' '.join(numbers)}\n"


def outline(found: Object, height: int) -> list[np.ndarray]:
    """The outlines of a mask's parts and holes.

    Args:
        found: an object; height: of its picture.

    Returns:
        [n, 2] corners of each. What an odd number of them encloses is the mask; those of holes run the other way round,
        so that fills by winding number agree.
    """
    rest, left, top = decode_window(found.mask, height)
    outlines: list[np.ndarray] = []
    way = 1
    while rest.any():  # the parts, then the holes in them, then the parts in these, ...
        polygons = outline_polygons(rest.astype(bool))
        outlines += [np.array(polygon).reshape(-1, 2)[::way] + (left, top) for polygon in polygons]
        rest = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *rest.shape))) ^ rest
        way = -way
    return outlines


def join(parts: list[np.ndarray]) -> np.ndarray:
    """One closed line around several parts.

    Args:
        parts: [n, 2] corners of each.

    Returns:
        [m, 2] corners. From the corner that is nearest to the next part, the line leads there, once around, and back.
    """
    joined, *others = parts
    for part in others:
        distances = np.square(joined[:, None] - part[None]).sum(axis=-1)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        around = np.roll(part, -there, axis=0)
        joined = np.concatenate([joined[: here + 1], around, around[:1], joined[here:]])
    return joined
