"""TP / (TP + FP + FN) against label images matched naively."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.fixed_iou import THRESHOLDS, count, find_best, match_without_overlaps
from maskrcnn.evaluation.matches import Matches
from maskrcnn.evaluation.overlaps import remove_overlaps
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import decode, encode_crops
from maskrcnn.ops.paste import Crop
from tests.evaluation.test_coco import CLASSES, SIZE, annotation, as_result, make_detections, make_ground_truth

PICTURES = 8


def apart(seed: int) -> CocoEvaluator:
    """Objects that do not overlap, and detections that do; no crowds."""
    truth = make_ground_truth(seed, PICTURES)
    kept = []
    for image in range(PICTURES):
        covered = np.zeros(SIZE, bool)
        for known in truth["annotations"]:
            mask = coco_mask.decode(known["segmentation"]).astype(bool)
            if known["image_id"] == image and not (mask & covered).any():
                kept.append({**known, "iscrowd": 0})
                covered |= mask
    truth["annotations"] = kept
    made = CocoEvaluator(truth, CLASSES, max_detections=100, backend="hotcoco")
    made.update(make_detections(truth, seed, extra=2))
    return made


def label_image(results: list[Result]) -> tuple[np.ndarray, list[Result]]:
    """Painted from the worst to the best, as one would paint a label image."""
    ranked = sorted(results, key=lambda result: -result["score"])
    image = np.zeros(SIZE, int)
    for i in reversed(range(len(ranked))):
        image[decode(ranked[i]["segmentation"])] = i + 1
    return image, ranked


def naive(evaluator: CocoEvaluator, score_threshold: float, labels: set[int]) -> tuple[list[int], list[int], int]:
    """TP and FP by IoU threshold, and objects, from intersections of pixel sets."""
    right, wrong, objects = [0] * 9, [0] * 9, 0
    for image, results in evaluator.predictions.items():
        known = [a for a in evaluator.ground_truth["annotations"] if a["image_id"] == image]
        known = [a for a in known if a["category_id"] in labels]
        masks = [decode(a["segmentation"]) for a in known]
        objects += len(known)
        painted, ranked = label_image([result for result in results if result["score"] >= score_threshold])
        for number, result in enumerate(ranked, start=1):
            mine = painted == number
            if result["category_id"] not in labels or not mine.any():
                continue
            ious = [
                (mine & mask).sum() / (mine | mask).sum()
                for a, mask in zip(known, masks)
                if a["category_id"] == result["category_id"]
            ]
            for i, threshold in enumerate(THRESHOLDS):
                hit = max(ious, default=0) >= threshold
                right[i] += hit
                wrong[i] += not hit
    return right, wrong, objects


@pytest.mark.parametrize("score_threshold", [0.0, 0.45, 0.7])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_label_images(seed: int, score_threshold: float) -> None:
    evaluator = apart(seed)
    matches = match_without_overlaps(evaluator)
    for labels in ({0, 1, 2, 3}, {1}):
        right, wrong, objects = naive(evaluator, score_threshold, labels)
        found = count([matches[label] for label in sorted(labels)], score_threshold)
        assert (found.right.tolist(), found.wrong.tolist(), found.objects) == (right, wrong, objects)
        expected = [tp / (objects + fp) for tp, fp in zip(right, wrong)]
        assert found.scores().tolist() == pytest.approx(expected)
        if score_threshold == 0:
            assert 0 < found.scores()[0] < 1


def test_the_best_threshold_is_the_best_of_all() -> None:
    matches = match_without_overlaps(apart(2))
    candidates = np.unique(np.concatenate([found.scores for found in matches]))
    means = [count(matches, float(score)).scores().mean() for score in candidates]
    best = find_best(matches)
    assert best.scores().mean() == max(means) > means[0]
    assert best.score_threshold == candidates[np.argmax(means)]


def test_by_hand() -> None:
    """A square of 10 x 10: found to 9/10 by one detection; a worse one lies half under it, and matches nothing."""
    square, most, lower = (np.zeros(SIZE, bool) for _ in range(3))
    square[10:20, 10:20], most[10:19, 10:20], lower[14:24, 10:20] = True, True, True
    truth = {**make_ground_truth(0, 1), "annotations": [annotation(1, 0, 0, square, 0)]}
    evaluator = CocoEvaluator(truth, CLASSES, max_detections=100, backend="hotcoco")
    results = [as_result(annotation(1, 0, 0, lower, 0), 0.4), as_result(annotation(1, 0, 0, most, 0), 0.8)]
    evaluator.update({0: results})
    best, rest = remove_overlaps(results)
    assert (decode(best["segmentation"]).sum(), decode(rest["segmentation"]).sum()) == (90, 50)
    assert not (decode(best["segmentation"]) & decode(rest["segmentation"])).any()
    matches = match_without_overlaps(evaluator)
    assert count(matches, 0.0).as_json() == {
        "score_threshold": 0.0,
        "mean": 0.5,
        "AP": dict.fromkeys((f"{t:.2f}" for t in THRESHOLDS), 0.5),
        "TP": dict.fromkeys((f"{t:.2f}" for t in THRESHOLDS), 1),
        "FP": dict.fromkeys((f"{t:.2f}" for t in THRESHOLDS), 1),
        "FN": dict.fromkeys((f"{t:.2f}" for t in THRESHOLDS), 0),
    }
    assert find_best(matches).score_threshold == 0.8 and find_best(matches).scores().tolist() == [1.0] * 9


def test_a_hidden_detection_is_gone_and_crowds_are_ignored() -> None:
    mask = np.zeros(SIZE, bool)
    mask[5:25, 0:30] = True
    rle = encode_crops([Crop(mask, 0, 0)], SIZE)[0]
    results = [Result(image_id=0, category_id=k, bbox=[0, 5, 30, 20], score=0.5, segmentation=rle) for k in (0, 1)]
    assert remove_overlaps(results) == results[:1]
    truth = {**make_ground_truth(0, 1), "annotations": [annotation(1, 0, 0, mask, 1)]}
    evaluator = CocoEvaluator(truth, CLASSES, max_detections=100, backend="hotcoco")
    evaluator.update({0: results})
    found = count(match_without_overlaps(evaluator), 0.0)
    assert (found.right.sum(), found.wrong.sum(), found.objects) == (0, 0, 0) and np.isnan(found.scores()).all()
    assert remove_overlaps([]) == []


def test_detections_of_equal_score_stay_or_go_together() -> None:
    right = np.array([[True, False, False, True]] * 10)
    found = Matches(np.zeros(4, np.int64), np.array([0.9, 0.9, 0.9, 0.8]), right, ~right, np.array([2]))
    best = find_best([found])  # 1 / 2 with the first alone, which cannot be; 1 / 4 with three, 2 / 4 with all
    assert best.score_threshold == 0.8 and best.scores().tolist() == [0.5] * 9
    none = Matches(np.zeros(0, np.int64), np.zeros(0), right[:, :0], right[:, :0], np.array([2]))
    assert find_best([none]).scores().tolist() == [0.0] * 9
