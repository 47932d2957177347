"""Which detections are right: what average precision and every other number is made of."""

from typing import Any, NamedTuple

import numpy as np

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.tables import IouType, match_pictures

RECALLS = np.linspace(0.0, 1.00, round((1.00 - 0.0) / 0.01) + 1)  # COCO's 101
IOUS = np.linspace(0.5, 0.95, 10)


class Matches(NamedTuple):
    """The detections of one class in all pictures, best first, for IoU thresholds 0.5, 0.55 .. 0.95.

    Each detection takes the free object that it overlaps most, best detections first, so that the matches of those
    above any score do not depend on the others.
    """

    pictures: np.ndarray  # [N] int64, positions in the list of pictures
    scores: np.ndarray  # [N] float64
    right: np.ndarray  # [10, N] bool: matched with an object
    wrong: np.ndarray  # [10, N] bool: neither matched nor to be ignored, as those on crowd regions are
    objects: np.ndarray  # [P] int64, objects of the class in each picture


def match(evaluator: CocoEvaluator, iou_type: IouType) -> list[Matches]:
    """Matches each picture and class once, by the evaluator's library.

    Args:
        evaluator: with ground truth and predictions; iou_type: match boxes or masks.

    Returns:
        One of each class; pictures are those that were updated, in the order of their ids, or all if none was.
    """
    images = evaluator.seen()
    tables = match_pictures(
        evaluator.ground_truth,
        evaluator.detections(iou_type),
        iou_type,
        images,
        evaluator.max_detections,
        evaluator.backend,
    )
    by_class: list[dict[int, dict[str, Any]]] = [{} for _ in evaluator.classes]
    for table in tables:
        by_class[table["category_id"]][table["image_id"]] = table
    return [_of_class(by_image, images) for by_image in by_class]


def _of_class(tables: dict[int, dict[str, Any]], images: list[int]) -> Matches:
    there = [(i, tables[image]) for i, image in enumerate(images) if image in tables]
    scores = np.concatenate([np.zeros(0), *(table["dtScores"] for _, table in there)])
    order = np.argsort(-scores, kind="mergesort")  # pycocotools' order of equal scores
    pictures = np.concatenate([np.zeros(0, np.int64), *(np.full(len(t["dtScores"]), i) for i, t in there)])
    matched, ignored = (
        np.concatenate([np.zeros((10, 0), bool), *(np.asarray(t[key]).reshape(10, -1) > 0 for _, t in there)], axis=1)
        for key in ("dtMatches", "dtIgnore")
    )
    objects = np.zeros(len(images), np.int64)
    for i, table in there:
        objects[i] = int(np.sum(np.asarray(table["gtIgnore"]) == 0))
    right, wrong = matched & ~ignored, ~matched & ~ignored
    return Matches(pictures[order], scores[order], right[:, order], wrong[:, order], objects)


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
