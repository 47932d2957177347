"""How many objects each step lost, of each class and size."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from maskrcnn.inspection.buckets import BUCKETS
from maskrcnn.inspection.funnel import Missed, Nearest

SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, float("inf"))}  # COCO's areas in pixels


def size_of(area: float) -> str:
    """COCO's name for an area in pixels."""
    return next(name for name, (low, high) in SIZES.items() if low <= area < high)


def count_lost(objects: Iterable[tuple[int, float]], missed: list[Missed], classes: list[str]) -> dict[str, Any]:
    """Objects, found ones, and lost ones by bucket.

    Args:
        objects: class and area of each object, missed or not.
        missed: those that were.
        classes: name of each label.

    Returns:
        {"all": row, "classes": {class: row}, "sizes": {size: row}}, with rows {"objects", "found", "lost": {bucket: n}}
        that hold all buckets in their order.
    """

    def groups(label: int, area: float) -> list[tuple[str, str]]:
        return [("all", "all"), ("classes", classes[label]), ("sizes", size_of(area))]

    there = Counter(group for label, area in objects for group in groups(label, area))
    gone = Counter((*group, one.lost.bucket) for one in missed for group in groups(one.label, one.area))

    def row(group: str, name: str) -> dict[str, Any]:
        lost = {bucket.name: gone[group, name, bucket.name] for bucket in BUCKETS}
        return {"objects": there[group, name], "found": there[group, name] - sum(lost.values()), "lost": lost}

    return {
        "all": row("all", "all"),
        "classes": {name: row("classes", name) for name in classes},
        "sizes": {name: row("sizes", name) for name in SIZES},
    }


def describe(missed: Missed, classes: list[str]) -> dict[str, Any]:
    """A missed object in plain values, boxes as x, y, width, height in pixels of its picture."""
    nearest, rival = (_plain(one, classes) for one in (missed.lost.nearest, missed.lost.rival))
    return {
        "category": classes[missed.label],
        "bbox": missed.box,
        "area": missed.area,
        "bucket": missed.lost.bucket,
        "nearest": nearest,
        "rival": rival,
        "mask_iou": round(missed.mask_iou, 4),
    }


def _plain(nearest: Nearest | None, classes: list[str]) -> dict[str, Any] | None:
    if nearest is None:
        return None
    x1, y1, x2, y2 = nearest.box
    return {
        "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        "iou": round(nearest.iou, 4),
        "score": None if nearest.score is None else round(nearest.score, 4),
        "category": None if nearest.label is None else classes[nearest.label],
    }
