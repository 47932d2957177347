"""What each score threshold gives: precision, recall and F1 of a class at IoU 0.5, and the best threshold."""

from typing import NamedTuple

import numpy as np

from maskrcnn.evaluation.matches import Matches

GRID = np.linspace(0, 1, 101)  # of score thresholds


class Operating(NamedTuple):
    """Detections from some scores on, [n] each; NaN where nothing defines a number."""

    scores: np.ndarray
    precision: np.ndarray  # of the detections kept; NaN where there are none
    recall: np.ndarray  # of the objects; NaN where there are none
    f1: np.ndarray  # 2 TP / (2 TP + FP + FN); NaN where there are no objects

    def at(self, index: int) -> dict[str, float]:
        """One of them, by name."""
        return {name: float(values[index]) for name, values in zip(("score", "precision", "recall", "f1"), self)}


def operate(matches: Matches, scores: np.ndarray) -> Operating:
    """Precision, recall and F1 if only detections are kept that score as much or more.

    Args:
        matches: of the class; scores: [n] float64 thresholds.
    """
    kept = np.searchsorted(-matches.scores, -scores, side="right")
    right, wrong = (np.append(0, np.cumsum(side[0]))[kept] for side in (matches.right, matches.wrong))
    objects = int(matches.objects.sum())
    with np.errstate(invalid="ignore"):
        precision, recall = right / (right + wrong), right / np.float64(objects)
    f1 = 2 * right / (right + wrong + objects) if objects else np.full(len(scores), np.nan)
    return Operating(scores, precision, recall, f1)


def find_best(matches: Matches) -> dict[str, float] | None:
    """The score of the class at which F1 is highest, with what it gives; the highest of several. None where there is
    nothing to find, or nothing right.
    """
    all_scores = operate(matches, np.unique(matches.scores)[::-1])
    if not all_scores.f1.size or not np.nanmax(all_scores.f1, initial=0) > 0:
        return None
    return all_scores.at(int(np.argmax(all_scores.f1)))
