"""Reads COCO instance annotations and checks them.

What makes the file unusable raises, all of it in one message: no COCO file at all, pictures that are missing, doubled
ids of pictures or categories, annotations of unknown pictures or categories, annotations without a mask. What spoils a
single annotation does not:
- an annotation whose mask cannot be read, or has no pixel in the picture, is left out;
- single polygons of fewer than three points are left out of their annotation;
- a box that is missing, or has no area, is taken from the mask; so is a missing area;
each with one warning for the file that says how many, and which come first. Annotation ids are issued anew: pycocotools
takes an object with id 0 for unmatched, and loses objects whose id comes twice.

What was read is kept in a cache, by the content of the file: the second time, COCO's 118,000 pictures take a second.
"""

import gc
import hashlib
import json
import multiprocessing
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import orjson
from pycocotools import mask as coco_mask

from maskrcnn.data.progress import follow
from maskrcnn.data.records import Annotations, Picture, Record, Records, join_annotations, read_content, write_records
from maskrcnn.data.segmentation import FARTHEST, Defect, compress
from maskrcnn.data.source import Split

VERSION = 2  # to be raised when the same file is read into other records
MANY = 20_000  # annotations from which several processes and a progress bar pay
CHUNK = 5_000  # annotations that a process reads at a time


class Finding(NamedTuple):
    """A kind of defect that was mended, and where."""

    what: str  # after "7 annotations with"
    number: int
    first: list[Any]  # ids of the first five


@dataclass(frozen=True)
class CocoAnnotations:
    """A data set's classes and pictures. Labels count 0..K-1 in the order of the category ids."""

    file: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]  # of each label, as in the file
    records: Sequence[Record]

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
    """Reads and checks one part of a data set; warns of what was mended.

    Raises:
        ValueError: the file is not one of COCO instance annotations, or not consistent; the message names the file, the
            keys or ids, and the remedies.
        FileNotFoundError: the file or some of its pictures do not exist.
    """
    file = split.annotations
    if not file.is_file():
        raise FileNotFoundError(f"no annotation file {file}: check data.root and the paths under data.source")
    cached = _cached(file)
    records = Records(cached, split.images)
    _check_pictures(split, records)
    content = read_content(cached)
    for finding in (Finding(*values) for values in content["findings"]):
        few = _few(finding.first, finding.number)
        warnings.warn(f"{file}: {finding.number} annotations with {finding.what} (ids {few})", stacklevel=2)
    return CocoAnnotations(file, tuple(content["classes"]), tuple(content["category_ids"]), records)


def read_records(split: Split) -> Records:
    """The pictures of one part of a data set that `read_annotations` has checked, without another word of it."""
    return Records(_cached(split.annotations), split.images)


def cache_folder(kind: str) -> Path:
    """Where things of a kind are kept from run to run: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskrcnn" / kind


def _cached(file: Path) -> Path:
    """The file of records of an annotation file, made if there is none."""
    with file.open("rb") as stream:
        key = hashlib.file_digest(stream, "sha256").hexdigest()
    folder = cache_folder("annotations")
    cached = folder / f"{key}-{VERSION}.pt"
    if not cached.is_file():
        with _no_collection():
            pictures, annotations, content = _parse(file)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_records(cached, pictures, annotations, content)
        except (OSError, RuntimeError) as error:  # RuntimeError: torch's, of a full disk
            raise OSError(
                f"the annotations cannot be kept in {folder} ({error}): make room, or set XDG_CACHE_HOME elsewhere"
            ) from error
    return cached


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of new objects make the collector of cycles take three quarters of the time, and there are no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse(file: Path) -> tuple[list[Picture], Annotations, dict[str, Any]]:
    """What an annotation file holds: pictures, usable annotations, and classes and findings."""
    dataset = read_json(file)
    problems = [*_category_problems(dataset["categories"]), *_image_problems(dataset["images"])]
    if not problems:
        problems = list(_annotation_problems(dataset))
    if problems:
        listed = problems[0] if len(problems) == 1 else "".join(f"\n- {problem}" for problem in problems)
        raise ValueError(f"{file}: {listed}")
    categories = sorted(dataset["categories"], key=lambda category: category["id"])
    pictures = [Picture(i["id"], i["file_name"], i["height"], i["width"]) for i in dataset["images"]]
    annotations, findings = _annotations(dataset["annotations"], pictures, [c["id"] for c in categories])
    content = {
        "classes": [c["name"] for c in categories],
        "category_ids": [c["id"] for c in categories],
        "findings": [list(finding) for finding in findings],
    }
    return pictures, annotations, content


def _few(values: list[Any], count: int) -> str:
    """The first five of some values, and how many there are in all if there are more."""
    return ", ".join(map(str, values[:5])) + (f", ... ({count} in all)" if count > 5 else "")


def read_json(file: Path) -> dict[str, Any]:
    """The content of an annotation file, with its three lists of mappings.

    Raises:
        ValueError: it is not of COCO's format; the message names it.
    """
    raw = file.read_bytes()
    try:
        dataset = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            dataset = json.loads(raw)  # takes NaN and Infinity too, which Python's own writer writes
        except (ValueError, RecursionError) as error:  # of JSON or of UTF-8
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


def _category_problems(categories: list[dict[str, Any]]) -> Iterator[str]:
    if not categories:
        yield "'categories' is empty; a data set needs at least one class"
    odd = [c for c in categories if type(c.get("id")) is not int or not isinstance(c.get("name"), str)]
    if odd:
        yield f"a category needs an integer 'id' and a 'name', but one is {odd[0]}"
        return
    for key in ("id", "name"):
        twice = _twice(c[key] for c in categories)
        if twice:
            yield f"category {key} {_few(twice, len(twice))} comes more than once; make it unique"


def _image_problems(images: list[dict[str, Any]]) -> Iterator[str]:
    if not images:
        yield "'images' is empty: there is no picture to read. Check that this is the right annotation file"
        return
    for key in ("id", "file_name", "height", "width"):
        without = [image for image in images if key not in image]
        if without:
            yield f"an image has no {key!r}: {without[0]}" + (f" ({len(without)} in all)" if len(without) > 1 else "")
            return
    for image in (image for image in images if not isinstance(image["file_name"], str)):
        yield f"image {image['id']} has the file_name {image['file_name']!r}; it must be a text"
        break
    for image in images:
        if not all(type(image[key]) is int and 0 < image[key] < FARTHEST for key in ("height", "width")):
            yield (
                f"image {image['id']} is {image['height']!r} high and {image['width']!r} wide; "
                "both must be positive integers, the size of the picture in pixels"
            )
            break
    types = {type(image["id"]) for image in images}
    if types not in ({int}, {str}):
        examples = {type(image["id"]).__name__: image["id"] for image in images}
        yield (
            "image ids must be all integers or all strings, but some are "
            f"{' and others '.join(f'{name} ({id_!r})' for name, id_ in sorted(examples.items()))}"
        )
        return
    twice = _twice(image["id"] for image in images)
    if twice:
        yield f"image id {_few(twice, len(twice))} comes more than once; give every picture its own"


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _annotation_problems(dataset: dict[str, Any]) -> Iterator[str]:
    """Whether every annotation has a known picture, a known category and a mask."""
    annotations = dataset["annotations"]
    for key, listed in (("image_id", "images"), ("category_id", "categories")):
        known = {entry["id"]: None for entry in dataset[listed]}
        odd = [a for a in annotations if type(a.get(key)) not in (int, str) or a[key] not in known]
        if odd:
            values = sorted({repr(a.get(key)) for a in odd})
            yield (
                f"the {key} of annotations {_few([a.get('id') for a in odd], len(odd))} is not in {listed!r}: "
                f"{_few(values, len(values))}. The ids there are like {next(iter(known))!r}"
            )
    bare = [a.get("id") for a in annotations if a.get("segmentation") is None]
    if bare:
        yield (
            f"{len(bare)} of {len(annotations)} annotations have no 'segmentation' (ids {_few(bare, len(bare))}). "
            "Mask R-CNN learns from masks: add polygons or run lengths, or remove these annotations"
        )


def _check_pictures(split: Split, records: Records) -> None:
    """Looks for the picture files, one listing a directory instead of a look-up each."""
    present: dict[str, set[str]] = {}
    missing = []
    for name in records.names():
        parent, base = os.path.split(name)
        if parent not in present:
            directory = split.images / parent
            present[parent] = {entry.name for entry in os.scandir(directory)} if directory.is_dir() else set()
        if base not in present[parent]:
            missing.append(name)
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(records)} pictures of {split.annotations} are not in {split.images}: "
            f"{_few(missing, len(missing))}. Check data.root and the paths under data.source, or complete the pictures"
        )


class _Reading(NamedTuple):
    """What it takes to read annotations."""

    entries: list[dict[str, Any]]
    pictures: list[Picture]
    positions: dict[int | str, int]  # of the pictures, by id
    labels: dict[int, int]  # by category id

    def read(self, rows: range) -> tuple[Annotations, dict[str, list[Any]]]:
        """The usable annotations among some entries, and what was mended: ids by kind."""
        found: dict[str, list[Any]] = defaultdict(list)
        columns: tuple[list[Any], ...] = ([], [], [], [], [], [])
        for row in rows:
            entry = self.entries[row]
            name, owner = entry.get("id", f"#{row}"), self.positions[entry["image_id"]]
            size = (self.pictures[owner].height, self.pictures[owner].width)
            try:
                mask, short = compress(entry["segmentation"], *size)
            except Defect as defect:
                found[f"{defect}: left out"].append(name)
                continue
            if short:
                found["some polygons of fewer than three points: those left out"].append(name)
            box, area, crowd = entry.get("bbox"), entry.get("area"), entry.get("iscrowd", 0)
            if not is_box(box):
                kind = "no box" if box is None else "a box without area, or not of four numbers"
                found[f"{kind}: taken from the mask"].append(name)
                box = coco_mask.toBbox({"size": size, "counts": mask}).tolist()
            if not isinstance(area, int | float) or not 0 < area < FARTHEST**2:
                area = float(coco_mask.area({"size": size, "counts": mask}))
            if crowd not in (0, 1):
                found["an iscrowd that is neither 0 nor 1: taken for 1 only if it is '1'"].append(name)
                crowd = crowd == "1"
            for column, value in zip(columns, (owner, self.labels[entry["category_id"]], crowd, box, area, mask)):
                column.append(value)
        owners, labels, crowds, boxes, areas, masks = columns
        annotations = Annotations(
            np.array(owners, np.int64),
            np.array(labels, np.int64),
            np.array(crowds, bool),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array(areas, np.float64),
            masks,
        )
        return annotations, found


_forked: _Reading  # what the processes of a pool read: they have it from their parent, without a copy


def _read_forked(rows: range) -> tuple[Annotations, dict[str, list[Any]]]:
    return _forked.read(rows)


def _annotations(
    entries: list[dict[str, Any]], pictures: list[Picture], category_ids: list[int]
) -> tuple[Annotations, list[Finding]]:
    """The usable annotations, and what was mended."""
    global _forked
    positions = {picture.id: position for position, picture in enumerate(pictures)}
    reading = _Reading(entries, pictures, positions, {id_: label for label, id_ in enumerate(category_ids)})
    starts = range(0, max(len(entries), 1), CHUNK)
    chunks = [range(start, min(start + CHUNK, len(entries))) for start in starts]
    if len(entries) < MANY or "fork" not in multiprocessing.get_all_start_methods():
        read = list(map(reading.read, chunks))
    else:
        _forked = reading
        with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
            read = list(follow(pool.map(_read_forked, chunks), len(chunks), "reading annotations"))
        del _forked
    found: dict[str, list[Any]] = defaultdict(list)
    for _, some in read:
        for what, names in some.items():
            found[what] += names
    findings = [Finding(what, len(names), names[:5]) for what, names in found.items()]
    return join_annotations([annotations for annotations, _ in read]), findings


def is_box(box: Any) -> TypeGuard[list[float]]:
    """Whether it is x, y, width, height with an area."""
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, int | float) and abs(value) < FARTHEST for value in box)
        and box[2] > 0
        and box[3] > 0
    )
