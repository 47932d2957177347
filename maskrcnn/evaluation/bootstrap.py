"""Whether two results differ by more than luck: a paired bootstrap over pictures, and over runs where there are several
(Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: percentile intervals).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from maskrcnn.evaluation.matches import Matches, average_precision


class Difference(NamedTuple):
    """How much the second side is above the first."""

    a: float  # mean over the runs of a side, of the pictures as they are
    b: float
    low: float  # 95 % interval of b - a
    high: float

    def beyond_luck(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def metrics(classes: list[Matches], names: list[str], weights: np.ndarray) -> dict[str, float]:
    """AP, AP50, AP75 and AP of each class by name, the pictures weighted. A class without objects is left out of means.

    Args:
        classes: matches of each class; names: of the classes; weights: [P] whole numbers.
    """
    each = np.stack([average_precision(matches, weights) for matches in classes])  # [class, IoU threshold]
    there = each[~np.isnan(each[:, 0])]
    means = there.mean(axis=0) if len(there) else np.full(each.shape[1], np.nan)
    scores = {"AP": float(means.mean()), "AP50": float(means[0]), "AP75": float(means[5])}
    return scores | {f"AP {name}": float(row.mean()) for name, row in zip(names, each)}


def compare(
    a: list[list[Matches]], b: list[list[Matches]], names: list[str], resamples: Iterable[int], seed: int
) -> dict[str, Difference]:
    """Intervals of the difference of two sides. Each resample draws as many pictures as there are, with replacement and
    the same for all runs, and of each side as many runs as it has.

    Args:
        a, b: the runs of the sides, each as the matches of its classes, over the same pictures.
        names: of the classes.
        resamples: their numbers, such as range(1000); seed: of the draws.
    """
    count = len(a[0][0].objects)
    draw = np.random.default_rng(seed)
    whole = np.ones(count, np.int64)
    truth = [[metrics(run, names, whole) for run in side] for side in (a, b)]
    keys = list(truth[0][0])
    drawn = []
    for _ in resamples:
        weights = np.bincount(draw.integers(count, size=count), minlength=count)
        sides = []
        for runs in (a, b):
            chosen = draw.integers(len(runs), size=len(runs)) if len(runs) > 1 else np.zeros(1, np.int64)
            made = {run: list(metrics(runs[run], names, weights).values()) for run in sorted(set(chosen.tolist()))}
            sides.append(np.mean([made[run] for run in chosen.tolist()], axis=0))
        drawn.append(sides[1] - sides[0])
    differences = np.stack(drawn)  # [resample, key]
    found = {}
    for j, key in enumerate(keys):
        column = differences[~np.isnan(differences[:, j]), j]  # a rare class is absent from some resamples
        low, high = np.percentile(column, [2.5, 97.5]) if len(column) else (np.nan, np.nan)
        means = [float(np.mean([run[key] for run in side])) for side in truth]
        found[key] = Difference(means[0], means[1], float(low), float(high))
    return found
