"""The least score of each class."""

from typing import Any

import pytest

from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import Rle
from maskrcnn.prediction.thresholds import Thresholds

CLASSES = ["cell", "dirt", "scratch"]
FOUND = [
    Result(image_id=0, category_id=label, bbox=[0.0] * 4, score=score, segmentation=Rle(size=[1, 1], counts="1"))
    for label, score in [(0, 0.9), (1, 0.8), (0, 0.5), (2, 0.5), (1, 0.4)]
]


@pytest.mark.parametrize(
    ("threshold", "kept"),
    [
        (0.5, [0, 1, 2, 3]),  # the very threshold is enough
        (0, [0, 1, 2, 3, 4]),
        ({"cell": 0.6, "dirt": 0.3, "scratch": 0.51}, [0, 1, 4]),
        ({"default": 0.45, "cell": 0.95}, [1, 3]),
    ],
)
def test_each_class_has_its_own(threshold: float | dict[str, float], kept: list[int]) -> None:
    assert Thresholds(threshold, CLASSES).keep(FOUND) == [FOUND[i] for i in kept]


def test_a_class_unknown_or_left_out_is_named() -> None:
    with pytest.raises(ValueError, match="names 'cel', but the checkpoint's classes are cell, dirt, scratch"):
        Thresholds({"cel": 0.5, "default": 0.5}, CLASSES)
    with pytest.raises(ValueError, match="no number for dirt, scratch; give one to each class, or 'default'"):
        Thresholds({"cell": 0.5}, CLASSES)
    with pytest.raises(ValueError, match=r"score_threshold is 'best'; give a number, or one by class \(only"):
        Thresholds("best", CLASSES)  # type: ignore[arg-type]


@pytest.mark.parametrize(("threshold", "odd"), [(None, "None"), ({"default": "0.5"}, "'0.5'"), ([0.5], r"\[0.5\]")])
def test_what_is_no_number_is_named(threshold: Any, odd: str) -> None:
    with pytest.raises(ValueError, match=f"score_threshold is {odd}; give a number from 0 to 1, or one by class"):
        Thresholds(threshold, CLASSES)
