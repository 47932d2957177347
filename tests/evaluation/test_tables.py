"""The fast library's tables are pycocotools' tables, to the bit."""

from typing import Any

import numpy as np
import pytest

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.tables import IouType
from tests.evaluation.test_coco import CLASSES, annotation, as_result, ellipse, make_detections, make_ground_truth


def crowded(seed: int) -> tuple[dict[str, Any], dict[int, list[Any]]]:
    """A picture of 60 overlapping objects of one class and another, more than some caps."""
    random = np.random.default_rng(seed)
    truth = make_ground_truth(seed, images=2)
    for _ in range(60):
        number = len(truth["annotations"]) + 1
        truth["annotations"].append(annotation(number, 1, int(number % 2), ellipse(random, 20, 60), 0))
    return truth, make_detections(truth, seed, extra=40)


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("cap", [5, 100, 300])
@pytest.mark.parametrize("seed", range(4))
def test_both_libraries_give_the_same_bits(seed: int, cap: int, iou_type: IouType) -> None:
    """Ties of scores, crowd regions, empty pictures, a class without objects and more detections than the cap."""
    truth, results = crowded(seed) if seed % 2 else (make_ground_truth(seed, images=20), {})
    results = results or make_detections(truth, seed, extra=6)
    scores = [result["score"] for found in results.values() for result in found]
    assert len(set(scores)) < len(scores) / 5 and any(known["iscrowd"] for known in truth["annotations"])
    tables = []
    for backend in ("hotcoco", "pycocotools"):
        evaluator = CocoEvaluator(truth, CLASSES, max_detections=cap, backend=backend)
        evaluator.update(results)
        tables.append(evaluator.tables(iou_type))
    for ours, reference in zip(*tables):
        assert np.array_equal(ours, reference)
    assert 0 < tables[0].recall[0, 0, 0, -1] < 1


def test_a_detection_on_the_border_of_an_area_counts_alike() -> None:
    """Objects of exactly 32 x 32 pixels, and crowds that hold a whole picture's detections."""
    bitmap = np.zeros((220, 240), bool)
    bitmap[10:42, 20:52] = True
    everything = np.ones((220, 240), bool)
    truth = make_ground_truth(0, images=1)
    truth["annotations"] = [annotation(1, 0, 0, bitmap, 0), annotation(2, 0, 0, everything, 1)]
    results = {0: [as_result(annotation(1, 0, 0, shape, 0), 0.5) for shape in (bitmap, np.roll(bitmap, 90, 0), bitmap)]}
    for iou_type in ("bbox", "segm"):
        tables = []
        for backend in ("hotcoco", "pycocotools"):
            evaluator = CocoEvaluator(truth, CLASSES, max_detections=100, backend=backend)
            evaluator.update(results)
            tables.append(evaluator.tables(iou_type))
        assert all(np.array_equal(ours, reference) for ours, reference in zip(*tables))
        assert tables[0].recall[0, 0, 2, -1] == 1.0  # 32^2 is medium, for both


def test_hundreds_of_detections_in_a_picture() -> None:
    truth = make_ground_truth(0, images=1)
    results = make_detections(truth, 0, extra=300)
    evaluator = CocoEvaluator(truth, CLASSES, max_detections=500, backend="hotcoco")
    evaluator.update({0: results[0] + results[0]})
    assert len(results[0]) > 255 and 0 < evaluator.compute()["segm/AP"] < 1
    reference = CocoEvaluator(truth, CLASSES, max_detections=500, backend="pycocotools")
    reference.update({0: results[0] + results[0]})
    assert evaluator.compute() == reference.compute()
