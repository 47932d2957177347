"""Precision and recall tables of COCO's evaluation, by either of two libraries."""

import contextlib
import io
from typing import Any, Literal, NamedTuple

import hotcoco
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IouType = Literal["bbox", "segm"]
IOU_TYPES: tuple[IouType, ...] = ("bbox", "segm")
# hotcoco (MIT, Rust) gives pycocotools' tables bit for bit, 20 times sooner; `benchmarks/evaluation.py` measures it.
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
    evaluation = _evaluate(ground_truth, detections, iou_type, images, caps, backend, all_areas=True)
    if isinstance(evaluation, COCOeval):
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
    else:
        evaluation.accumulate()
    tables = evaluation.eval
    assert tables is not None
    return Tables(*(np.asarray(tables[name]) for name in Tables._fields))


def match_pictures(
    ground_truth: dict[str, Any],
    detections: list[dict[str, Any]],
    iou_type: IouType,
    images: list[int],
    cap: int,
    backend: Backend,
) -> list[dict[str, Any]]:
    """Matches of each picture and class that has an object or a detection, over all areas, as pycocotools has them.

    Args:
        ground_truth, detections, iou_type, images, backend: as those of `make_tables`.
        cap: how many detections of a class in a picture count.

    Returns:
        Mappings with `image_id`, `category_id`, `dtIds` and `dtScores` best first, `gtIds`, `gtIgnore`, and by IoU
        threshold (0.5, 0.55 .. 0.95) and detection `dtMatches`, the id of the object or 0, and `dtIgnore`.
    """
    evaluation = _evaluate(ground_truth, detections, iou_type, images, [cap], backend, all_areas=False)
    entries = evaluation.evalImgs if isinstance(evaluation, COCOeval) else evaluation.eval_imgs
    return [entry for entry in entries if entry is not None]


def _evaluate(
    ground_truth: dict[str, Any],
    detections: list[dict[str, Any]],
    iou_type: IouType,
    images: list[int],
    caps: list[int],
    backend: Backend,
    *,
    all_areas: bool,
) -> hotcoco.COCOeval | COCOeval:
    """The library's evaluation with matches, for COCO's four ranges of areas or for all areas together."""
    found = {key: ground_truth[key] for key in ("images", "categories")} | {"annotations": detections}
    labels = [category["id"] for category in ground_truth["categories"]]
    ranges = slice(4 if all_areas else 1)
    if backend == "hotcoco":
        fast = hotcoco.COCOeval(hotcoco.COCO(ground_truth), hotcoco.COCO(found), iou_type)
        fast.params.img_ids, fast.params.cat_ids, fast.params.max_dets = images, labels, caps
        fast.params.area_rng, fast.params.area_rng_lbl = fast.params.area_rng[ranges], fast.params.area_rng_lbl[ranges]
        fast.evaluate()
        return fast
    # Copies, because pycocotools writes into the annotations that it is given.
    known = {**ground_truth, "annotations": [{**entry} for entry in ground_truth["annotations"]]}
    with contextlib.redirect_stdout(io.StringIO()):
        slow = COCOeval(index_dataset(known), index_dataset(found), iou_type)
        slow.params.imgIds, slow.params.catIds, slow.params.maxDets = images, labels, caps
        slow.params.areaRng, slow.params.areaRngLbl = slow.params.areaRng[ranges], slow.params.areaRngLbl[ranges]
        slow.evaluate()
    return slow


def index_dataset(dataset: dict[str, Any]) -> COCO:
    """A data set as pycocotools wants it, without a detour over a file."""
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco
