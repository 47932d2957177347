"""Which detections are right, kept so that average precision can be had again for any weights of pictures."""

import contextlib
import io
from typing import Any, NamedTuple

import numpy as np
from pycocotools.cocoeval import COCOeval

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.tables import IouType, index_dataset

RECALLS = np.linspace(0.0, 1.00, round((1.00 - 0.0) / 0.01) + 1)  # COCO's 101


class Matches(NamedTuple):
    """The detections of one class in all pictures, best first, for IoU thresholds 0.5, 0.55 .. 0.95."""

    pictures: np.ndarray  # [N] int64, positions in the list of pictures
    right: np.ndarray  # [10, N] bool: matched with an object
    wrong: np.ndarray  # [10, N] bool: neither matched nor to be ignored, as those on crowd regions are
    objects: np.ndarray  # [P] int64, objects of the class in each picture


def match(evaluator: CocoEvaluator, iou_type: IouType) -> list[Matches]:
    """Matches each picture and class once, by pycocotools.

    Args:
        evaluator: with ground truth and predictions; iou_type: match boxes or masks.

    Returns:
        One of each class; pictures are those that were updated, in the order of their ids, or all if none was.
    """
    truth = evaluator.ground_truth
    images = sorted(evaluator.predictions) or sorted(evaluator.images)
    # Copies, because pycocotools writes into the annotations that it is given.
    known = {**truth, "annotations": [{**entry} for entry in truth["annotations"]]}
    found = {**truth, "annotations": evaluator.detections(iou_type)}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(index_dataset(known), index_dataset(found), iou_type)
        evaluation.params.imgIds, evaluation.params.catIds = images, list(range(len(evaluator.classes)))
        evaluation.params.maxDets = [evaluator.max_detections]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
        evaluation.evaluate()
    count = len(images)
    return [_of_class(evaluation.evalImgs[i * count : (i + 1) * count]) for i in range(len(evaluator.classes))]


def _of_class(tables: list[dict[str, Any] | None]) -> Matches:
    there = [(i, table) for i, table in enumerate(tables) if table is not None]
    scores = np.concatenate([np.zeros(0), *(table["dtScores"] for _, table in there)])
    order = np.argsort(-scores, kind="mergesort")  # pycocotools' order of equal scores
    pictures = np.concatenate([np.zeros(0, np.int64), *(np.full(len(t["dtScores"]), i) for i, t in there)])
    matched = np.concatenate([np.zeros((10, 0), bool), *(t["dtMatches"] > 0 for _, t in there)], axis=1)
    ignored = np.concatenate([np.zeros((10, 0), bool), *(t["dtIgnore"] > 0 for _, t in there)], axis=1)
    objects = np.zeros(len(tables), np.int64)
    for i, table in there:
        objects[i] = int(np.sum(np.asarray(table["gtIgnore"]) == 0))
    return Matches(pictures[order], (matched & ~ignored)[:, order], (~matched & ~ignored)[:, order], objects)


def average_precision(matches: Matches, weights: np.ndarray) -> np.ndarray:
    """Average precision of a class at each IoU threshold, each picture counting as often as its weight says.

    Equal to COCO's evaluation of a data set in which the pictures are repeated so often, but for the order of
    detections of exactly equal score.

    Args:
        matches: of the class; weights: [P] whole numbers from 0 on.

    Returns:
        [10] float64; NaN where no object is left.
    """
    objects = int(matches.objects @ weights)
    if objects == 0:
        return np.full(len(matches.right), np.nan)
    of_detection = weights[matches.pictures]
    right = np.cumsum(matches.right * of_detection, axis=1).astype(float)
    wrong = np.cumsum(matches.wrong * of_detection, axis=1).astype(float)
    precision = right / (wrong + right + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)  # 0 for a recall that is not reached
    return np.array([row[np.searchsorted(r / objects, RECALLS)].mean() for row, r in zip(reached, right)])
