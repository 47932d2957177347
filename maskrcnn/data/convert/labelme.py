"""LabelMe's annotations: a JSON file for each picture, beside it (https://github.com/wkentaro/labelme)."""

import base64
import io
import json
import math
import re
import sys
from collections import defaultdict
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from maskrcnn.data.convert.annotated import Annotated, Findings, Region, annotate, check_classes
from maskrcnn.data.header import SUFFIXES, any_size, check_size, read_header
from maskrcnn.data.segmentation import Defect, compress

CIRCLE_POINTS = 128  # of the polygon in place of a circle; its area is 0.04 % less
FOUR_CORNERS = {"rectangle", "oriented_rectangle", "rotation", "quadrilateral"}  # the last two of X-AnyLabeling
AREAS = {"polygon", "circle", "mask"} | FOUR_CORNERS
NO_CLASS = {"__ignore__", "_background_"}  # what LabelMe's own converters take for no object
NUMBERED = re.compile(r"(.+)-\d+")  # how LabelMe before 4 told the objects of a class apart: person-1, person-2


def read_labelme(source: Path, *, classes: list[str] | None) -> Annotated:
    """Reads a folder of LabelMe files and the folders in it, as LabelMe opens them; not those that begin with a dot.

    Polygons, rectangles (upright or rotated), circles and masks become objects, other shapes (points, lines) are left
    out. Shapes of one label and one group_id are one object, as in LabelMe's own converters; so are those of one
    numbered label. Sizes are those of the JSON files (LabelMe shows pictures turned as their EXIF entry says), checked
    against the pictures.

    Args:
        source: the folder.
        classes: in the order of the category ids; shapes with other labels are left out, but person-1 is of the class
            person. None for all labels of objects as they are, sorted, without __ignore__ and _background_: name them
            where training and validation pictures lie in two folders.

    Raises:
        ValueError: a file is not LabelMe's, or broken; or its picture is missing or has another size.
    """
    present = sorted(path for path in source.rglob("*") if not _hidden(path.relative_to(source)))
    files = [path for path in present if path.suffix == ".json" and path.is_file()]
    if not files:
        raise ValueError(f"source={source}: no JSON file in this folder; LabelMe writes one for each picture")
    parsed = {file: _parse(file) for file in files}
    if classes is None:
        shapes = [shape for entry in parsed.values() for shape in entry["shapes"] if _kind(shape) in AREAS]
        classes = sorted({shape["label"] for shape in shapes} - NO_CLASS)
    names = check_classes(classes, f"classes of {source}")
    findings: Findings = {}
    numbered = [name for name in names if NUMBERED.fullmatch(name)]
    if numbered:
        findings["classes with a number: if it tells objects apart (LabelMe 3), give read.classes without it"] = (
            numbered
        )
    pictures = []
    owners: dict[Path, Path] = {}
    for file, entry in parsed.items():
        path = _find_picture(file, entry)
        other = owners.setdefault(path.resolve(), file)
        if other != file:
            raise ValueError(f"{other} and {file} are both for {path}: keep one, or merge their shapes")
        size = _size(file, entry, path)
        where = file.relative_to(source).as_posix()
        regions = _regions(file, where, entry["shapes"], names, size, findings)
        pictures.append(annotate(path, size, regions, findings))
    bare = [
        path.relative_to(source).as_posix()
        for path in present
        if path.suffix.lower() in SUFFIXES and path.resolve() not in owners
    ]
    if bare:
        findings["pictures without a JSON file: left out"] = bare
    return Annotated(source, names, pictures, findings)


# What shapes may hold besides, where they do.
FIELDS = {"shape_type": (str, NoneType), "group_id": (str, int, float, NoneType), "mask": (str, NoneType)}


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)  # such as the copies in .ipynb_checkpoints


def _parse(file: Path) -> dict[str, Any]:
    try:
        entry = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:  # of JSON or of UTF-8
        raise ValueError(f"{file} is not JSON, or broken ({error}): copy or save it again, or remove it") from error
    shapes = entry.get("shapes") if isinstance(entry, dict) else None
    if not isinstance(shapes, list) or not isinstance(entry.get("imagePath"), str):
        raise ValueError(f"{file} has no 'shapes' and 'imagePath', so it is not of LabelMe: move it out of the source")
    for index, shape in enumerate(shapes):
        points = shape.get("points") if isinstance(shape, dict) else None
        if not isinstance(points, list) or not isinstance(shape.get("label"), str) or not all(map(_is_point, points)):
            raise ValueError(
                f"{file}, shape {index}: it needs a 'label' and 'points' of two finite numbers each; "
                "mend it in LabelMe, or remove it"
            )
        for key, kinds in FIELDS.items():
            if not isinstance(shape.get(key), kinds):
                raise ValueError(
                    f"{file}, shape {index}: its '{key}' is {shape[key]!r}; mend it in LabelMe, or remove it"
                )
    return entry


def _kind(shape: dict[str, Any]) -> str:
    return shape.get("shape_type") or "polygon"  # the only one in the oldest files


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(type(v) in (int, float) and abs(v) <= sys.float_info.max for v in point)
    )


def _find_picture(file: Path, entry: dict[str, Any]) -> Path:
    """The file that imagePath names, written on any system, or one of that name, or of the JSON file's, beside it."""
    name = entry["imagePath"].replace("\\", "/")
    same = [file.with_suffix(suffix) for suffix in sorted(SUFFIXES)]  # renamed together, or imagePath is the JSON file
    for path in (file.parent / name, file.parent / name.rpartition("/")[2], *same):
        if path.is_file() and path != file:
            return path
    held = " (it holds the picture as imageData: labelme_export_json writes that out)" if entry.get("imageData") else ""
    raise ValueError(
        f"{file}: there is no picture {entry['imagePath']} beside it{held}; put it there, or correct imagePath"
    )


def _size(file: Path, entry: dict[str, Any], path: Path) -> tuple[int, int]:
    height, width = entry.get("imageHeight"), entry.get("imageWidth")
    return check_size(path, (height, width), file) if height and width else read_header(path).shown


def _regions(
    file: Path,
    where: str,
    shapes: list[dict[str, Any]],
    classes: tuple[str, ...],
    size: tuple[int, int],
    findings: Findings,
) -> list[Region]:
    """The shapes of one file, which findings call `where`, as objects, those of a group joined."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        kind, label, group = _kind(shape), shape["label"], shape.get("group_id")
        if kind not in AREAS:
            findings.setdefault(f"shapes of type {kind}: left out", []).append(where)
            continue
        numbered = NUMBERED.fullmatch(label)
        if label not in classes and numbered and numbered[1] in classes:
            label, group = numbered[1], label
        if label not in classes:
            findings.setdefault(f"shapes with the label {label!r}, which is not in classes: left out", []).append(where)
            continue
        segmentation = _segmentation(f"{file}, shape {index}", kind, shape, size)
        groups[label, f"shape {index}" if group is None else ("group", group)].append(segmentation)
    return [Region(classes.index(label), _join(members, size), False, where) for (label, _), members in groups.items()]


def _segmentation(where: str, kind: str, shape: dict[str, Any], size: tuple[int, int]) -> Any:
    """A shape with an area as COCO has it: polygons or run lengths."""
    points = shape["points"]
    if kind == "polygon" or (kind in FOUR_CORNERS and len(points) == 4):
        return [[value for point in points for value in point]]
    if len(points) != 2 or kind in FOUR_CORNERS - {"rectangle"}:
        raise ValueError(f"{where}: a {kind} cannot have {len(points)} points; draw it again, or remove it")
    if kind == "rectangle":
        (x1, y1), (x2, y2) = points
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]
    if kind == "circle":
        (x, y), rim = points
        radius = math.dist((x, y), rim)
        angles = np.arange(CIRCLE_POINTS) * (2 * math.pi / CIRCLE_POINTS)
        return [np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=-1).ravel().tolist()]
    return _paste(where, shape, size)


def _paste(where: str, shape: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Run lengths of a mask that is held as a PNG of its box, whose two corners are pixels inside it."""
    (left, top), (right, bottom) = ([int(value) for value in point] for point in shape["points"])
    try:
        with any_size, Image.open(io.BytesIO(base64.b64decode(shape.get("mask") or ""))) as picture:
            width, height = picture.size
            fits = (height, width) == (bottom - top + 1, right - left + 1)
            values = np.asarray(picture) != 0 if fits else np.zeros((0, 0), bool)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{where}: its mask is not a PNG in base64; draw it again, or remove it") from error
    if not fits:
        raise ValueError(
            f"{where}: its mask of {height} x {width} pixels does not fit its points {shape['points']}; draw it again, "
            "or remove it"
        )
    whole = np.zeros(size, np.uint8, order="F")  # without what lies outside the picture
    inside = slice(max(top, 0), max(bottom + 1, 0)), slice(max(left, 0), max(right + 1, 0))
    whole[inside] = values[max(-top, 0) : max(size[0] - top, 0), max(-left, 0) : max(size[1] - left, 0)]
    rle = coco_mask.encode(whole)
    return {"size": list(size), "counts": rle["counts"].decode("ascii")}


def _join(members: list[Any], size: tuple[int, int]) -> Any:
    """One segmentation of several: polygons stay such, anything with a mask becomes run lengths."""
    if all(isinstance(member, list) for member in members):
        return [polygon for member in members for polygon in member]
    rles = []
    for member in members:
        try:
            rles.append({"size": list(size), "counts": compress(member, *size)[0]})
        except Defect:  # a part without a pixel adds nothing
            continue
    if not rles:
        return members[0]
    return {"size": list(size), "counts": coco_mask.merge(rles)["counts"].decode("ascii")}
