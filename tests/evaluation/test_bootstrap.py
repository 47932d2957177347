"""Resampled average precision against the evaluator's."""

import numpy as np
import pytest

from maskrcnn.evaluation.bootstrap import Difference, compare, metrics
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.matches import match
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.tables import IOU_TYPES, IouType
from tests.evaluation.test_coco import CLASSES, make_detections, make_ground_truth

PICTURES = 12
Predictions = dict[int, list[Result]]


def evaluator(seed: int, times: list[int], distinct: bool) -> CocoEvaluator:
    """Predictions for a data set in which each picture comes so many times; `distinct`: no two have the same score."""
    truth = make_ground_truth(0, PICTURES)
    found = make_detections(truth, seed, extra=4)
    if distinct:
        draw = np.random.default_rng(seed)
        for results in found.values():
            for result in results:
                result["score"] += float(draw.uniform(0, 0.09))
    sources = [picture for picture, count in enumerate(times) for _ in range(count)]
    repeated = {**truth, "images": [{**truth["images"][source], "id": i} for i, source in enumerate(sources)]}
    annotations = [
        {**entry, "image_id": i}
        for i, source in enumerate(sources)
        for entry in truth["annotations"]
        if entry["image_id"] == source
    ]
    repeated["annotations"] = [{**entry, "id": number} for number, entry in enumerate(annotations, start=1)]
    made = CocoEvaluator(repeated, CLASSES, max_detections=100, backend="hotcoco")
    made.update({i: [Result(**{**one, "image_id": i}) for one in found[s]] for i, s in enumerate(sources)})  # type: ignore[typeddict-item]
    return made


def expected(made: CocoEvaluator, iou_type: IouType) -> dict[str, float]:
    scores, per_class = made.compute(), made.per_class()
    return {name: scores[f"{iou_type}/{name}"] for name in ("AP", "AP50", "AP75")} | {
        f"AP {name}": values[f"{iou_type}/AP"] for name, values in per_class.items()
    }


@pytest.mark.parametrize("iou_type", IOU_TYPES)
@pytest.mark.parametrize("distinct", [False, True])
def test_each_picture_once_is_the_evaluators(iou_type: IouType, distinct: bool) -> None:
    made = evaluator(3, [1] * PICTURES, distinct)
    found = metrics(match(made, iou_type), CLASSES, np.ones(PICTURES, np.int64))
    assert found == pytest.approx(expected(made, iou_type), rel=0, abs=1e-12, nan_ok=True)
    assert 0.2 < found["AP"] < 0.9


@pytest.mark.parametrize("iou_type", IOU_TYPES)
@pytest.mark.parametrize("seed", range(4))
def test_weights_are_repeated_pictures(iou_type: IouType, seed: int) -> None:
    times = np.random.default_rng(seed).integers(0, 4, size=PICTURES)
    assert len(set(times.tolist())) > 2
    matches = match(evaluator(seed, [1] * PICTURES, True), iou_type)
    repeated = evaluator(seed, times.tolist(), True)
    found = metrics(matches, CLASSES, times)
    assert found == pytest.approx(expected(repeated, iou_type), rel=0, abs=1e-12, nan_ok=True)


def test_a_side_against_itself_and_against_one_without_detections() -> None:
    made = evaluator(0, [1] * PICTURES, True)
    matches = match(made, "segm")
    same = compare([matches], [matches], CLASSES, range(50), 0)["AP"]
    assert (same.low, same.high) == (0, 0) and not same.beyond_luck()
    made.update({picture: [] for picture in range(PICTURES)})
    worse = compare([matches], [match(made, "segm")], CLASSES, range(50), 0)["AP"]
    assert worse.b == 0 and worse.low <= -worse.a <= worse.high < 0 and worse.beyond_luck()


def test_the_interval_is_that_of_naive_resamples() -> None:
    a, b = (match(evaluator(seed, [1] * PICTURES, True), "bbox") for seed in (0, 1))
    draw, differences = np.random.default_rng(7), []
    for _ in range(40):
        weights = np.bincount(draw.integers(PICTURES, size=PICTURES), minlength=PICTURES)
        differences.append(metrics(b, CLASSES, weights)["AP"] - metrics(a, CLASSES, weights)["AP"])
    found = compare([a], [b], CLASSES, range(40), 7)["AP"]
    assert [found.low, found.high] == np.percentile(differences, [2.5, 97.5]).tolist()


def test_runs_that_scatter_widen_the_interval() -> None:
    good, bad = (match(evaluator(0, [1] * PICTURES, True), "bbox") for _ in range(2))
    bad = [one._replace(right=one.right & False, wrong=one.right | one.wrong) for one in bad]
    sure = compare([good], [bad], CLASSES, range(100), 0)["AP"]
    unsure = compare([good, bad], [bad, good], CLASSES, range(100), 0)["AP"]
    assert sure.beyond_luck() and not unsure.beyond_luck()
    assert unsure.a == unsure.b == pytest.approx(sure.a / 2)
    assert unsure.low < 0 < unsure.high and unsure.high - unsure.low > sure.high - sure.low


def test_beyond_luck() -> None:
    assert Difference(0.1, 0.3, 0.01, 0.4).beyond_luck() and Difference(0.3, 0.1, -0.4, -0.01).beyond_luck()
    assert not Difference(0.1, 0.3, -0.01, 0.4).beyond_luck()
    assert not Difference(0.1, 0.3, float("nan"), float("nan")).beyond_luck()
