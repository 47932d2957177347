"""The least score of each class."""

import math
from collections.abc import Mapping
from numbers import Real

import numpy as np

from maskrcnn.data.few import few_names
from maskrcnn.evaluation.results import Result

OTHERS = "default"  # key of the classes that a mapping does not name


class Thresholds:
    """Keeps what scores enough for its class.

    Args:
        score_threshold: one number for all classes, or a mapping of them; its "default" is for the others.
        classes: name of each label.

    Raises:
        ValueError: a class is unknown or has no threshold, or one is not from 0 to 1 (infinity leaves the class out),
            or no number.
    """

    def __init__(self, score_threshold: float | Mapping[str, float], classes: list[str]) -> None:
        if isinstance(score_threshold, str):
            raise ValueError(
                f"score_threshold is {score_threshold!r}; give a number, or one by class (only predict.py knows "
                "'best', from the file that evaluate.py writes)"
            )
        given = score_threshold if isinstance(score_threshold, Mapping) else {OTHERS: score_threshold}
        unknown = [name for name in given if name not in classes and name != OTHERS]
        if unknown:
            raise ValueError(
                f"score_threshold names {few_names([repr(name) for name in unknown])}, but the checkpoint's "
                f"classes are {few_names(classes)}"
            )
        missing = [name for name in classes if name not in given]
        if missing and OTHERS not in given:
            raise ValueError(
                f"score_threshold has no number for {few_names(missing)}; give one to each class, or '{OTHERS}' for "
                "those not named"
            )
        odd = [value for value in given.values() if not isinstance(value, Real)]
        if odd:
            raise ValueError(f"score_threshold is {odd[0]!r}; give a number from 0 to 1, or one by class")
        outside = {name: value for name, value in given.items() if not (0 <= value <= 1 or value == math.inf)}
        if outside:
            said = ", ".join(f"{value:g}" for value in outside.values())
            raise ValueError(f"score_threshold is {said}; scores, and so thresholds, are from 0 to 1")
        self.of = np.array([given.get(name, given.get(OTHERS)) for name in classes], np.float64)

    def keep(self, results: list[Result]) -> list[Result]:
        """Those that score the threshold of their class or more."""
        return [result for result in results if result["score"] >= self.of[result["category_id"]]]
