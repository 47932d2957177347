"""Curves, thresholds, calibration and confusion against the definitions, on synthetic detections."""

import json
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.calibration import calibrate
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.confusion import confuse
from maskrcnn.evaluation.curves import make_curves
from maskrcnn.evaluation.matches import Matches, match
from maskrcnn.evaluation.tables import IOU_TYPES, Backend, IouType
from maskrcnn.evaluation.thresholds import find_best, operate
from tests.evaluation.test_coco import CLASSES, make_detections, make_ground_truth, naive_ap50

PICTURES = 8


def evaluator_of(seed: int, backend: Backend = "hotcoco") -> CocoEvaluator:
    truth = make_ground_truth(seed, PICTURES)
    made = CocoEvaluator(truth, CLASSES, max_detections=100, backend=backend)
    made.update(make_detections(truth, seed, extra=4))
    return made


def naive_confusion(evaluator: CocoEvaluator, iou_type: IouType, least: float) -> list[list[int]]:
    matrix = [[0] * 5 for _ in range(5)]
    key = "segmentation" if iou_type == "segm" else "bbox"
    for image, results in evaluator.predictions.items():
        known = [a for a in evaluator.ground_truth["annotations"] if a["image_id"] == image]
        free = {i for i, a in enumerate(known) if not a["iscrowd"]}
        for result in sorted((r for r in results if r["score"] >= least), key=lambda r: -r["score"]):
            shared = [float(coco_mask.iou([result[key]], [a[key]], [a["iscrowd"]])[0, 0]) for a in known]  # type: ignore[literal-required]
            reached = {i: iou for i, iou in enumerate(shared) if iou >= 0.5}
            best = max(free & reached.keys(), key=lambda i: (reached[i], i), default=None)
            if best is not None:
                free.remove(best)
                matrix[known[best]["category_id"]][result["category_id"]] += 1
            elif not any(known[i]["iscrowd"] for i in reached):
                matrix[4][result["category_id"]] += 1
        for i in free:
            matrix[known[i]["category_id"]][4] += 1
    return matrix


@pytest.mark.parametrize("backend", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize("iou_type", IOU_TYPES)
@pytest.mark.parametrize("least", [0.0, 0.55])
def test_confusion_is_that_of_naive_matching(least: float, iou_type: IouType, backend: Backend) -> None:
    evaluator = evaluator_of(0, backend)
    found = confuse(evaluator, iou_type, least)
    assert found.tolist() == naive_confusion(evaluator, iou_type, least)
    objects = [a["category_id"] for a in evaluator.ground_truth["annotations"] if not a["iscrowd"]]
    assert found[:4].sum(axis=1).tolist() == [objects.count(label) for label in range(4)]
    score = sorted(result["score"] for results in evaluator.predictions.values() for result in results)[20]
    assert confuse(evaluator, iou_type, score).tolist() == naive_confusion(evaluator, iou_type, score)
    nothing = evaluator.of({image: [] for image in evaluator.images})
    assert confuse(nothing, iou_type, least)[:4, 4].tolist() == [objects.count(label) for label in range(4)]
    assert 0 < found[:4, :4].trace() < found[:4, :4].sum()


def test_both_libraries_give_the_same_matches() -> None:
    for iou_type in IOU_TYPES:
        pairs = zip(match(evaluator_of(1), iou_type), match(evaluator_of(1, "pycocotools"), iou_type), strict=True)
        for ours, reference in pairs:
            assert all(np.array_equal(a, b) for a, b in zip(ours, reference, strict=True))


def hand_made() -> Matches:
    """Seven detections of six objects, one detection on a crowd: right, right, wrong, right, ignored, wrong, right."""
    right, wrong = np.zeros((10, 7), bool), np.zeros((10, 7), bool)
    right[0], wrong[0] = [1, 1, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 1, 0]
    scores = np.array([0.95, 0.9, 0.7, 0.7, 0.6, 0.31, 0.05])
    return Matches(np.zeros(7, np.int64), scores, right, wrong, np.array([6]))


def test_f1_by_hand() -> None:
    found = operate(hand_made(), np.array([1.0, 0.9, 0.7, 0.5, 0.0]))
    assert found.precision.tolist() == pytest.approx([np.nan, 1, 3 / 4, 3 / 4, 4 / 6], nan_ok=True)
    assert found.recall.tolist() == pytest.approx([0, 2 / 6, 3 / 6, 3 / 6, 4 / 6])
    assert found.f1.tolist() == pytest.approx([0, 4 / 8, 6 / 10, 6 / 10, 8 / 12])
    assert find_best(hand_made()) == pytest.approx({"score": 0.05, "precision": 4 / 6, "recall": 4 / 6, "f1": 8 / 12})
    right, scores = np.zeros((10, 4), bool), np.array([0.9, 0.8, 0.7, 0.6])
    right[0] = [1, 0, 0, 1]  # F1 is 2/3 from 0.9 on and from 0.6 on: the highest score counts
    twice = Matches(np.zeros(4, np.int64), scores, right, ~right, np.array([2]))
    assert find_best(twice) == pytest.approx({"score": 0.9, "precision": 1, "recall": 1 / 2, "f1": 2 / 3})
    nothing = np.zeros((10, 7), bool)
    without = hand_made()._replace(objects=np.array([0]), right=nothing)
    assert find_best(without) is None and np.isnan(operate(without, np.array([0.5])).recall).all()


def test_best_threshold_is_the_best_of_all() -> None:
    for found in match(evaluator_of(0), "segm"):
        every = [operate(found, np.array([score])).f1[0] for score in np.unique(found.scores)]
        best = find_best(found)
        assert (best["f1"] if best else 0) == np.nan_to_num(every).max(initial=0)


def test_calibration_by_hand() -> None:
    """Bins of a fifth: 0.95, 0.9 right; 0.7, 0.7 one right; 0.31 wrong; 0.05 right; 0.6 is on a crowd."""
    found = calibrate([hand_made()], 5)
    rows = [tuple(entry[name] for name in ("count", "score", "right")) for entry in found["bins"]]
    assert rows[0] == pytest.approx((1, 0.05, 1)) and rows[1] == pytest.approx((1, 0.31, 0))
    assert rows[2] == (0, None, None)
    assert rows[3] == pytest.approx((2, 0.7, 0.5)) and rows[4] == pytest.approx((2, 0.925, 1))
    assert found["ece"] == pytest.approx((0.95 + 0.31 + 2 * 0.2 + 2 * 0.075) / 6)
    assert [(entry["low"], entry["high"]) for entry in found["bins"]][1] == pytest.approx((0.2, 0.4))
    empty = hand_made()._replace(scores=np.zeros(0), right=np.zeros((10, 0), bool), wrong=np.zeros((10, 0), bool))
    assert calibrate([empty], 5)["ece"] is None and all(entry["count"] == 0 for entry in calibrate([empty], 5)["bins"])


def test_calibration_equals_the_definition() -> None:
    classes = match(evaluator_of(0), "bbox")
    pairs = [(s, r) for m in classes for s, r, w in zip(m.scores, m.right[0], m.wrong[0]) if r or w]
    gaps = 0.0
    for low in range(10):
        inside = [(s, r) for s, r in pairs if min(int(s * 10), 9) == low]
        gaps += abs(sum(s for s, _ in inside) - sum(r for _, r in inside))
    assert calibrate(classes, 10)["ece"] == pytest.approx(gaps / len(pairs))


def no_crowds(seed: int) -> CocoEvaluator:
    truth = make_ground_truth(seed, PICTURES)
    results = make_detections(truth, seed, extra=4)
    truth["annotations"] = [known for known in truth["annotations"] if not known["iscrowd"]]
    made = CocoEvaluator(truth, CLASSES, max_detections=100, backend="hotcoco")
    made.update(results)
    return made


def test_the_file_holds_curves_that_fit_the_numbers() -> None:
    evaluator = no_crowds(0)
    made: dict[str, Any] = json.loads(json.dumps(make_curves(evaluator, 0.5), allow_nan=False))
    curve = made["segm"]["precision_recall"]
    for label in (0, 1, 3):
        expected = naive_ap50(evaluator.ground_truth, evaluator.predictions, label, 100)
        assert np.mean(curve["classes"][CLASSES[label]]["0.50"]) == pytest.approx(expected)
    assert np.mean(curve["all"]["0.50"]) == pytest.approx(evaluator.compute()["segm/AP50"])
    assert np.mean(curve["all"]["0.75"]) == pytest.approx(evaluator.compute()["segm/AP75"])
    assert curve["classes"][CLASSES[2]]["0.50"] == [None] * 101  # no object has this class
    assert made["segm"]["best"][CLASSES[2]] is None
    f1 = made["segm"]["thresholds"]["classes"][CLASSES[0]]["f1"]
    assert max(f1) == pytest.approx(made["segm"]["best"][CLASSES[0]]["f1"])  # scores are multiples of 0.1
    assert made["bbox"]["confusion"]["names"] == [*CLASSES, "background"]
    assert made["bbox"]["confusion"]["matrix"] == confuse(evaluator, "bbox", 0.5).tolist()
