"""Precision and recall tables of COCO's evaluation, by either of two libraries."""

import contextlib
import io
from typing import Any, Literal, NamedTuple

import hotcoco
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IouType = Literal["bbox", "segm"]
# hotcoco (MIT, Rust) gives pycocotools' tables bit for bit, 30 times sooner; `benchmarks/evaluation.py` measures it.
Backend = Literal["hotcoco", "pycocotools"]


class Tables(NamedTuple):
    """What COCO's evaluation knows, for IoU thresholds 0.5, 0.55 .. 0.95 and recalls 0, 0.01 .. 1.

    Areas are in the order any, < 32^2, 32^2..96^2, > 96^2 pixels; caps are numbers of detections of a class in a
    picture. -1 stands where there is no ground truth.
    """

    precision: np.ndarray  # [IoU threshold, recall, class, area, cap] float64
    recall: np.ndarray  # [IoU threshold, class, area, cap] float64
    scores: np.ndarray  # as precision: the score from which on it is reached


def make_tables(
    ground_truth: dict[str, Any],
    detections: list[dict[str, Any]],
    iou_type: IouType,
    images: list[int],
    caps: list[int],
    backend: Backend,
) -> Tables:
    """Matches detections with the ground truth and accumulates.

    Args:
        ground_truth: a data set in COCO's format.
        detections: entries as its annotations are, with a score and an `area` of the mask or box that is matched.
        iou_type: match boxes or masks.
        images: ids of the pictures to look at.
        caps: ascending.
        backend: which library does it.
    """
    found = {key: ground_truth[key] for key in ("images", "categories")} | {"annotations": detections}
    labels = [category["id"] for category in ground_truth["categories"]]
    if backend == "hotcoco":
        fast = hotcoco.COCOeval(hotcoco.COCO(ground_truth), hotcoco.COCO(found), iou_type)
        fast.params.img_ids, fast.params.cat_ids, fast.params.max_dets = images, labels, caps
        fast.evaluate()
        fast.accumulate()
        tables = fast.eval
    else:
        # Copies, because pycocotools writes into the annotations that it is given.
        known = {**ground_truth, "annotations": [{**entry} for entry in ground_truth["annotations"]]}
        with contextlib.redirect_stdout(io.StringIO()):
            slow = COCOeval(index_dataset(known), index_dataset(found), iou_type)
            slow.params.imgIds, slow.params.catIds, slow.params.maxDets = images, labels, caps
            slow.evaluate()
            slow.accumulate()
        tables = slow.eval
    assert tables is not None
    return Tables(*(np.asarray(tables[name]) for name in Tables._fields))


def index_dataset(dataset: dict[str, Any]) -> COCO:
    """A data set as pycocotools wants it, without a detour over a file."""
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco
