"""Reads COCO instance annotations and checks them.

What makes the file unusable raises: no COCO file at all, pictures that are missing, doubled ids of pictures or
categories, annotations of unknown pictures or categories, annotations without a mask. What spoils a single annotation
does not:
- an annotation whose mask cannot be read, or has no pixel in the picture, is left out;
- single polygons of fewer than three points are left out of their annotation;
- a box that is missing, or has no area, is taken from the mask; so is a missing area;
each with one warning for the file that says how many, and which come first. Annotation ids are issued anew: pycocotools
takes an object with id 0 for unmatched, and loses objects whose id comes twice.
"""

import json
import math
import os
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.data.segmentation import Defect, compress
from maskrcnn.data.source import Split


class Instances(NamedTuple):
    """Annotated regions of one picture."""

    labels: np.ndarray  # [n] int64, 0..K-1
    boxes: np.ndarray  # [n, 4] float64: x, y, width, height in pixels of the picture, as COCO has them
    areas: np.ndarray  # [n] float64, pixels
    masks: list[bytes]  # compressed run lengths of COCO


class Record(NamedTuple):
    """One picture of a data set."""

    id: int | str  # as in the file
    path: Path
    height: int
    width: int
    objects: Instances
    crowds: Instances  # groups that are not told apart: not learnt, ignored by the evaluation


@dataclass(frozen=True)
class CocoAnnotations:
    """A data set's classes and pictures. Labels count 0..K-1 in the order of the category ids."""

    file: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]  # of each label, as in the file
    records: list[Record]

    def ground_truth(self) -> dict[str, Any]:
        """The data set for pycocotools with internal ids.

        Returns:
            A COCO dictionary: an image's id is its position in `records`, a category's is its label, annotations count
            from 1; every `segmentation` is a compressed RLE.
        """
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index, record in enumerate(self.records):
            images.append({"id": index, "file_name": record.path.name, "height": record.height, "width": record.width})
            for iscrowd, instances in enumerate((record.objects, record.crowds)):
                for label, box, area, mask in zip(*instances, strict=True):
                    annotations.append(
                        {
                            "id": len(annotations) + 1,
                            "image_id": index,
                            "category_id": int(label),
                            "bbox": box.tolist(),
                            "area": float(area),
                            "iscrowd": iscrowd,
                            "segmentation": {"size": [record.height, record.width], "counts": mask.decode("ascii")},
                        }
                    )
        categories = [{"id": label, "name": name} for label, name in enumerate(self.classes)]
        return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def read_annotations(split: Split) -> CocoAnnotations:
    """Reads and checks one part of a data set.

    Raises:
        ValueError: the file is not one of COCO instance annotations, or not consistent; the message names the file, the
            key or ids, and the remedy.
        FileNotFoundError: the file or some of its pictures do not exist.
    """
    file = split.annotations
    dataset = _read_json(file)
    labels, classes = _categories(dataset, file)
    images = _images(dataset, file)
    _check_pictures(split, [image["file_name"] for image in images.values()])
    members = _instances(dataset, file, images, labels)
    records = [
        Record(
            id=id_,
            path=split.images / image["file_name"],
            height=image["height"],
            width=image["width"],
            objects=_stack(members[id_, False]),
            crowds=_stack(members[id_, True]),
        )
        for id_, image in images.items()
    ]
    return CocoAnnotations(file, classes, tuple(labels), records)


def _few(values: list[Any]) -> str:
    """The first five of some values, and how many there are in all if there are more."""
    return ", ".join(map(str, values[:5])) + (f", ... ({len(values)} in all)" if len(values) > 5 else "")


def _read_json(file: Path) -> Any:
    if not file.is_file():
        raise FileNotFoundError(f"no annotation file {file}: check data.root and the paths under data.source")
    try:
        dataset = json.loads(file.read_bytes())
    except ValueError as error:  # of JSON or of UTF-8
        raise ValueError(f"{file} is not JSON, or broken ({error}): copy or download it again") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(dataset, dict) or not isinstance(dataset.get(key), list):
            raise ValueError(
                f"{file} has no list {key!r}, so it is not a COCO instance annotation file "
                "(https://cocodataset.org/#format-data)"
            )
        if not all(isinstance(entry, dict) for entry in dataset[key]):
            raise ValueError(f"{file}: the entries of {key!r} must be objects with an id")
    return dataset


def _categories(dataset: dict[str, Any], file: Path) -> tuple[dict[int, int], tuple[str, ...]]:
    """Labels by category id, and the names of the labels."""
    categories = dataset["categories"]
    if not categories:
        raise ValueError(f"{file}: 'categories' is empty; a data set needs at least one class")
    for category in categories:
        if type(category.get("id")) is not int or not isinstance(category.get("name"), str):
            raise ValueError(f"{file}: a category needs an integer 'id' and a 'name', but one is {category}")
    for key in ("id", "name"):
        twice = [value for value, count in Counter(c[key] for c in categories).items() if count > 1]
        if twice:
            raise ValueError(f"{file}: category {key} {_few(twice)} comes more than once; make it unique")
    categories = sorted(categories, key=lambda category: category["id"])
    return {c["id"]: label for label, c in enumerate(categories)}, tuple(c["name"] for c in categories)


def _images(dataset: dict[str, Any], file: Path) -> dict[int | str, dict[str, Any]]:
    """The entries of 'images' by id."""
    images = dataset["images"]
    if not images:
        raise ValueError(
            f"{file}: 'images' is empty: there is no picture to read. Check that this is the right annotation file"
        )
    for image in images:
        missing = [key for key in ("id", "file_name", "height", "width") if key not in image]
        if missing:
            raise ValueError(f"{file}: an image has no {missing[0]!r}: {image}")
        if not isinstance(image["file_name"], str):
            raise ValueError(f"{file}: image {image['id']} has the file_name {image['file_name']!r}; it must be a text")
        if not all(type(image[key]) is int and image[key] > 0 for key in ("height", "width")):
            raise ValueError(
                f"{file}: image {image['id']} is {image['height']!r} high and {image['width']!r} wide; "
                "both must be positive integers, the size of the picture in pixels"
            )
    types = {type(image["id"]) for image in images}
    if types not in ({int}, {str}):
        examples = {type(image["id"]).__name__: image["id"] for image in images}
        raise ValueError(
            f"{file}: image ids must be all integers or all strings, but some are "
            f"{' and others '.join(f'{name} ({id_!r})' for name, id_ in sorted(examples.items()))}"
        )
    twice = [id_ for id_, count in Counter(image["id"] for image in images).items() if count > 1]
    if twice:
        raise ValueError(f"{file}: image id {_few(twice)} comes more than once; give every picture its own")
    return {image["id"]: image for image in images}


def _check_pictures(split: Split, names: list[str]) -> None:
    """Looks for the picture files, one listing a directory instead of a look-up each."""
    present: dict[str, set[str]] = {}
    missing = []
    for name in names:
        parent, base = os.path.split(name)
        if parent not in present:
            directory = split.images / parent
            present[parent] = {entry.name for entry in os.scandir(directory)} if directory.is_dir() else set()
        if base not in present[parent]:
            missing.append(name)
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(names)} pictures of {split.annotations} are not in {split.images}: "
            f"{_few(missing)}. Check data.root and the paths under data.source, or complete the pictures"
        )


Members = dict[tuple[int | str, bool], list[tuple[int, list[float], float, bytes]]]


def _instances(
    dataset: dict[str, Any], file: Path, images: dict[int | str, dict[str, Any]], labels: dict[int, int]
) -> Members:
    """The usable annotations by image id and iscrowd, each with its label, box, area and mask."""
    annotations = dataset["annotations"]
    _check_references(annotations, file, images, labels)
    members: Members = defaultdict(list)
    findings: dict[str, list[Any]] = defaultdict(list)
    for position, annotation in enumerate(annotations):
        name = annotation.get("id", f"#{position}")
        image = images[annotation["image_id"]]
        try:
            mask, left_out = compress(annotation["segmentation"], image["height"], image["width"])
        except Defect as defect:
            findings[f"{defect}: left out"].append(name)
            continue
        if left_out:
            findings["some polygons of fewer than three points: those left out"].append(name)
        rle = {"size": [image["height"], image["width"]], "counts": mask}
        box, area = annotation.get("bbox"), annotation.get("area")
        if not _is_box(box):
            kind = "no box" if box is None else "a box without area, or not of four numbers"
            findings[f"{kind}: taken from the mask"].append(name)
            box = coco_mask.toBbox(rle).tolist()
        if not isinstance(area, int | float) or not area > 0:
            area = float(coco_mask.area(rle))
        crowd = bool(annotation.get("iscrowd", 0))
        members[annotation["image_id"], crowd].append((labels[annotation["category_id"]], box, area, mask))
    for kind, names in findings.items():
        warnings.warn(f"{file}: {len(names)} annotations with {kind} (ids {_few(names)})", stacklevel=4)
    return members


def _check_references(
    annotations: list[dict[str, Any]], file: Path, images: dict[int | str, dict[str, Any]], labels: dict[int, int]
) -> None:
    """Every annotation has a known picture, a known category and a mask."""
    lists: tuple[tuple[str, str, Any], ...] = (("image_id", "images", images), ("category_id", "categories", labels))
    for key, listed, known in lists:
        odd = [a for a in annotations if not isinstance(a.get(key), int | str) or a[key] not in known]
        if odd:
            raise ValueError(
                f"{file}: the {key} of annotations {_few([a.get('id') for a in odd])} is not in {listed!r}: "
                f"{_few(sorted({repr(a.get(key)) for a in odd}))}. The ids there are like {next(iter(known))!r}"
            )
    bare = [a.get("id") for a in annotations if a.get("segmentation") is None]
    if bare:
        raise ValueError(
            f"{file}: {len(bare)} of {len(annotations)} annotations have no 'segmentation' (ids {_few(bare)}). "
            "Mask R-CNN learns from masks: add polygons or run lengths, or remove these annotations"
        )


def _is_box(box: Any) -> bool:
    """Whether it is x, y, width, height with an area."""
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, int | float) and math.isfinite(value) for value in box)
        and box[2] > 0
        and box[3] > 0
    )


def _stack(members: list[tuple[int, list[float], float, bytes]]) -> Instances:
    return Instances(
        np.array([label for label, *_ in members], np.int64),
        np.array([box for _, box, *_ in members], np.float64).reshape(-1, 4),
        np.array([area for *_, area, _ in members], np.float64),
        [mask for *_, mask in members],
    )
