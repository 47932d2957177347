"""What lies behind the numbers, for pages and plots: curves, best thresholds, calibration, confusion.

The layout of curves.json, where null stands for what is not defined:

    {"bbox" and "segm": {
        "precision_recall": {                       # COCO's: at recalls 0, 0.01 .. 1, precision never rises
            "recall": [101],
            "all": {"0.50": [101], "0.75": [101]},  # mean over the classes that have objects
            "classes": {name: the same}},
        "thresholds": {                             # at IoU 0.5, of detections from a score on
            "score": [101],                         # 0, 0.01 .. 1
            "classes": {name: {"precision": [101], "recall": [101], "f1": [101]}}},
        "best": {name: {"score", "precision", "recall", "f1"} or null},  # where F1 is highest
        "calibration": {                            # see maskrcnn.evaluation.calibration
            "all": {"ece", "bins": [{"low", "high", "count", "score", "right"}]}, "classes": {name: the same}},
        "confusion": {"score_threshold", "names": [K + 1], "matrix": [K + 1][K + 1]}}}  # rows true, columns found
"""

from typing import Any

import numpy as np

from maskrcnn.evaluation.calibration import calibrate
from maskrcnn.evaluation.coco import ALL, CocoEvaluator
from maskrcnn.evaluation.confusion import BACKGROUND, confuse
from maskrcnn.evaluation.matches import RECALLS, match
from maskrcnn.evaluation.tables import IOU_TYPES, IouType
from maskrcnn.evaluation.thresholds import GRID, find_best, operate

BINS = 10
IOUS = {"0.50": 0, "0.75": 5}  # positions in COCO's ten


def make_curves(evaluator: CocoEvaluator, score_threshold: float) -> dict[str, Any]:
    """All of the above, of plain values.

    Args:
        evaluator: with ground truth and predictions.
        score_threshold: of the confusion matrix: what scores less is left out.
    """
    return {iou_type: _make(evaluator, iou_type, score_threshold) for iou_type in IOU_TYPES}


def _make(evaluator: CocoEvaluator, iou_type: IouType, score_threshold: float) -> dict[str, Any]:
    names, classes = evaluator.classes, match(evaluator, iou_type)
    curves = [operate(found, GRID) for found in classes]
    return {
        "precision_recall": _precision_recall(evaluator, iou_type),
        "thresholds": {
            "score": GRID.tolist(),
            "classes": {
                name: {"precision": plain(one.precision), "recall": plain(one.recall), "f1": plain(one.f1)}
                for name, one in zip(names, curves)
            },
        },
        "best": {name: find_best(found) for name, found in zip(names, classes)},
        "calibration": {
            "all": calibrate(classes, BINS),
            "classes": {name: calibrate([found], BINS) for name, found in zip(names, classes)},
        },
        "confusion": {
            "score_threshold": score_threshold,
            "names": [*names, BACKGROUND],
            "matrix": confuse(evaluator, iou_type, score_threshold).tolist(),
        },
    }


def _precision_recall(evaluator: CocoEvaluator, iou_type: IouType) -> dict[str, Any]:
    precision = evaluator.tables(iou_type).precision[:, :, :, ALL, evaluator.cap]  # [IoU, recall, class]
    precision = np.where(precision < 0, np.nan, precision)
    there = ~np.isnan(precision[0, 0])
    whole = precision[:, :, there].mean(axis=2) if there.any() else np.full(precision.shape[:2], np.nan)
    return {
        "recall": RECALLS.tolist(),
        "all": {iou: plain(whole[i]) for iou, i in IOUS.items()},
        "classes": {
            name: {iou: plain(precision[i, :, label]) for iou, i in IOUS.items()}
            for label, name in enumerate(evaluator.classes)
        },
    }


def plain(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, None where not finite."""
    return [value if np.isfinite(value) else None for value in values.tolist()]
