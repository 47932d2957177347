"""Writes LabelMe's files: polygons, those of one object in a group."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from maskrcnn.data.convert.annotated import Annotated
from maskrcnn.data.convert.outlines import join, outline
from maskrcnn.data.convert.output import appearing, place_pictures

VERSION = "5.5.0"  # of LabelMe, whose form of the files this is; others read it, too


def write_labelme(annotated: Annotated, out: Path, *, pictures: Literal["copy", "symlink"]) -> None:
    """Writes a folder of the pictures, each with its JSON file beside it, as LabelMe opens it.

    Polygons are kept. Masks become the outlines of their pixels, one for each part. Holes are joined to their part by
    lines there and back between the nearest corners, which add no area. Lost are the order of the classes, and crowd
    regions, which the format does not know; these are counted in the findings, as the joined ones are.

    Args:
        annotated: the data set; its findings are appended to.
        out: the folder, which must not exist.
        pictures: whether to copy them or to link to where they are.

    Raises:
        ValueError: `out` is there, or two pictures would have the same JSON file.
    """
    with appearing(out) as partial:
        partial.mkdir()
        for picture, file in place_pictures(annotated, partial, pictures, lambda path: path.with_suffix(".json")):
            instances = []
            for found in picture.objects:
                if found.crowd:
                    annotated.findings.setdefault("crowd regions: left out, LabelMe has none", []).append(
                        picture.path.name
                    )
                    continue
                parts = outline(found, picture.height)
                if any(len(part) > 1 for part in parts):
                    annotated.findings.setdefault("objects with holes: joined by lines", []).append(picture.path.name)
                instances.append((annotated.classes[found.label], parts))
            text = labelme_text(picture.path.name, (picture.height, picture.width), instances)
            file.write_text(text, encoding="utf-8")


def labelme_text(picture: str, size: tuple[int, int], instances: Iterable[tuple[str, list[list[np.ndarray]]]]) -> str:
    """A file of LabelMe.

    Args:
        picture: path of the picture from the file's folder; size: its height and width.
        instances: class and `outline` of each.
    """
    shapes = [
        {
            "label": name,
            "points": join(part).tolist(),
            "group_id": number if len(parts) > 1 else None,
            "shape_type": "polygon",
            "flags": {},
        }
        for number, (name, parts) in enumerate(instances, start=1)
        for part in parts
    ]
    entry = {"version": VERSION, "flags": {}, "shapes": shapes}
    held = {"imagePath": picture, "imageData": None, "imageHeight": size[0], "imageWidth": size[1]}
    return json.dumps(entry | held) + "\n"
