"""COCO's instance annotations, read with their polygons and written."""

import json
import os
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.coco_file import read_json
from maskrcnn.data.convert.annotated import Annotated, Findings, Object, Picture, Region, annotate
from maskrcnn.data.convert.output import appearing
from maskrcnn.data.segmentation import nest
from maskrcnn.data.source import Split


def read_coco(source: Path, *, images: str) -> Annotated:
    """Reads an annotation file.

    Args:
        source: the file; images: folder that its `file_name`s start from.

    Raises:
        ValueError, FileNotFoundError: of `read_annotations`.
    """
    if not source.is_file():
        raise FileNotFoundError(f"source={source}: no such file; from=coco takes an annotation file, such as val.json")
    if not Path(images).is_dir():
        raise FileNotFoundError(f"read.images={images}: no such folder; it is the one that file_names start from")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What is left out is found again below.
        checked = read_annotations(Split(Path(images), source))
    labels = {id_: label for label, id_ in enumerate(checked.category_ids)}
    regions: dict[int | str, list[Region]] = defaultdict(list)
    # A second time, since the checked data set holds masks only.
    for position, annotation in enumerate(read_json(source)["annotations"]):
        where = f"annotation {annotation.get('id', f'#{position}')}"
        crowd = bool(annotation.get("iscrowd", 0))
        region = Region(labels[annotation["category_id"]], nest(annotation["segmentation"]), crowd, where)
        regions[annotation["image_id"]].append(region)
    findings: Findings = {}
    pictures = [annotate(r.path, (r.height, r.width), regions[r.id], findings) for r in checked.records]
    return Annotated(Path(images), checked.classes, pictures, findings)


def write_coco(annotated: Annotated, out: Path) -> None:
    """Writes an annotation file: polygons as they are, other masks as compressed run lengths.

    Ids of pictures, categories and annotations count from 1, categories in the order of the classes. Boxes and areas
    are those of the masks. `file_name`s start from the root of the data set.

    Args:
        annotated: the data set; out: the file, which must not exist.

    Raises:
        ValueError: `out` is there, or does not end in .json.
    """
    if out.suffix != ".json":
        raise ValueError(f"out={out}: to=coco writes one file, so give it a name that ends in .json")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, picture in enumerate(annotated.pictures, 1):
        name = Path(os.path.relpath(picture.path, annotated.root)).as_posix()
        images.append({"id": image_id, "file_name": name, "height": picture.height, "width": picture.width})
        for found in picture.objects:
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **_annotation(picture, found)})
    dataset = {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(annotated.classes)],
    }
    with appearing(out) as partial:
        partial.write_text(json.dumps(dataset) + "\n", encoding="utf-8")


def _annotation(picture: Picture, found: Object) -> dict[str, Any]:
    size = [picture.height, picture.width]
    rle = {"size": size, "counts": found.mask}
    return {
        "category_id": found.label + 1,
        "segmentation": found.polygons or {"size": size, "counts": found.mask.decode("ascii")},
        "bbox": coco_mask.toBbox(rle).tolist(),
        "area": int(coco_mask.area(rle)),
        "iscrowd": int(found.crowd),
    }
