"""Entries of 'annotations' turned into columns; what spoils a single one is mended, and noted."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.data.packing import pack_masks
from maskrcnn.data.records import Annotations, Picture
from maskrcnn.data.segmentation import EMPTY, FARTHEST, Defect, nest, rasterise, store

BARE_BOX = "a box but no mask"  # a rectangle among polygons, as CVAT exports it
AS_BACKGROUND = "left out, so that their objects count as background: add masks, or remove their pictures"


class Mended(NamedTuple):
    """A kind of defect that was mended, and where."""

    what: str  # after "7 annotations with"
    number: int
    first: list[Any]  # ids of the first five


class EntryReader:
    """Reads the annotations of a file, some at a time.

    Args:
        pictures: of the file; positions: by id, where in that list; labels: of categories, by id.
    """

    def __init__(self, pictures: Sequence[Picture], positions: dict[int | str, int], labels: dict[int, int]) -> None:
        self._sizes = [(picture.height, picture.width) for picture in pictures]
        self._positions, self._labels = positions, labels
        self._found: dict[str, list[Any]] = defaultdict(list)
        self._ids: list[Any] = []  # of what was read, None where there is none
        self._number = 0  # of entries so far

    def read(self, entries: list[dict[str, Any]]) -> Annotations:
        """The usable annotations among the next entries."""
        owners = [self._positions[entry["image_id"]] for entry in entries]
        sizes = [self._sizes[owner] for owner in owners]
        masks = pack_masks([entry["segmentation"] for entry in entries], sizes)
        sound = [mask for mask in masks if mask is not None]
        columns = _ordinary(entries) if len(sound) == len(entries) else None
        if columns is None:
            return self._read_singly(entries, owners, sizes, masks)
        self._ids += [entry["id"] for entry in entries]
        self._number += len(entries)
        labels = [self._labels[entry["category_id"]] for entry in entries]
        return Annotations(np.array(owners, np.int64), np.array(labels, np.int64), *columns, sound)

    def _read_singly(
        self,
        entries: list[dict[str, Any]],
        owners: list[int],
        sizes: list[tuple[int, int]],
        masks: list[bytes | None],
    ) -> Annotations:
        """The same where something may have to be mended."""
        found = self._found
        usable: list[tuple[Any, ...]] = []
        for row, (entry, owner, size, mask) in enumerate(zip(entries, owners, sizes, masks, strict=True)):
            name, short = entry["id"] if "id" in entry else f"#{self._number + row}", 0
            if mask is None:
                segmentation = nest(entry["segmentation"])
                if segmentation is not entry["segmentation"]:
                    found["a polygon that is not in a list of polygons: read as the only one"].append(name)
                try:
                    mask, short = store(segmentation, *size)
                except Defect as defect:
                    found[": ".join(name_defect(str(defect), entry.get("bbox")))].append(name)
                    continue
            if short:
                found["some polygons of fewer than three points: those left out"].append(name)
            box, area, crowd = entry.get("bbox"), entry.get("area"), entry.get("iscrowd", 0)
            if not is_box(box):
                kind = "no box" if box is None else "a box without area, or not of four numbers"
                found[f"{kind}: taken from the mask"].append(name)
                box = coco_mask.toBbox({"size": size, "counts": rasterise([mask], *size)[0]}).tolist()
            if not isinstance(area, int | float) or not 0 < area < FARTHEST**2:
                area = float(coco_mask.area({"size": size, "counts": rasterise([mask], *size)[0]}))
            if crowd not in (0, 1):
                found["an iscrowd that is neither 0 nor 1: taken for 1 only if it is '1'"].append(name)
                crowd = crowd == "1"
            self._ids.append(entry.get("id"))
            usable.append((owner, self._labels[entry["category_id"]], crowd, box, area, mask))
        self._number += len(entries)
        columns = zip(*usable) if usable else [()] * 6
        owners, labels, crowds, boxes, areas, stored = map(list, columns)
        return Annotations(
            np.array(owners, np.int64),
            np.array(labels, np.int64),
            np.array(crowds, bool),
            np.fromiter(chain.from_iterable(boxes), np.float64).reshape(-1, 4),
            np.array(areas, np.float64),
            stored,
        )

    def mended(self) -> list[Mended]:
        """What was mended in all that was read."""
        odd, twice = odd_ids(self._ids)
        found = {
            **self._found,
            "an id that is zero, absent or no number: all numbered anew": odd,
            "an id that comes twice: all numbered anew": twice,
        }
        return [Mended(what, len(names), names[:5]) for what, names in found.items() if names]


def name_defect(defect: str, box: Any) -> tuple[str, str]:
    """What an annotation without a usable mask has, and what becomes of it.

    Args:
        defect: of its mask; box: as in the file.
    """
    return (BARE_BOX, AS_BACKGROUND) if defect == EMPTY and is_box(box) else (defect, "left out")


def _ordinary(entries: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The crowds, boxes and areas of entries of which nothing has to be mended; None where one has."""
    try:
        boxes = np.array([entry["bbox"] for entry in entries])
        areas = np.array([entry["area"] for entry in entries])
        crowds = np.array([entry.get("iscrowd", 0) for entry in entries])
    except (KeyError, ValueError, OverflowError):  # the latter two: not as many numbers in each
        return None
    if boxes.shape != (len(entries), 4) or areas.ndim != 1 or crowds.ndim != 1:
        return None
    if any(column.dtype.kind not in "iuf" for column in (boxes, areas, crowds)):  # not numbers
        return None
    sound = (np.abs(boxes) < FARTHEST).all() and (boxes[:, 2:] > 0).all()
    sound = sound and ((areas > 0) & (areas < FARTHEST**2)).all() and ((crowds == 0) | (crowds == 1)).all()
    if not sound or not all("id" in entry for entry in entries):
        return None
    return crowds.astype(bool), boxes.astype(np.float64), areas.astype(np.float64)


def is_box(box: Any) -> TypeGuard[list[float]]:
    """Whether it is x, y, width, height with an area."""
    if not isinstance(box, list) or len(box) != 4:
        return False
    x, y, width, height = box
    try:
        return abs(x) < FARTHEST and abs(y) < FARTHEST and 0 < width < FARTHEST and 0 < height < FARTHEST
    except TypeError:  # not numbers
        return False


def odd_ids(ids: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Those among ids of annotations for which pycocotools loses objects, or may: those that are not 1 or more, and
    those that come more than once, each once.
    """
    sound: set[int] = set()
    twice: dict[int, None] = {}
    odd = []
    for id_ in ids:
        if type(id_) is not int or id_ < 1:
            odd.append(id_)
        elif id_ in sound:
            twice[id_] = None
        else:
            sound.add(id_)
    return odd, list(twice)
