"""Average precision as microscopy counts it: TP / (TP + FP + FN) at fixed IoU thresholds, of what scores enough.

As StarDist (arXiv 1806.03535, section 3.2) and the 2018 Data Science Bowl report it. Counts are added up over all
pictures, then divided. In that field masks do not overlap; here each pixel of overlapping detections goes to the one
of the highest score, of whatever class, before anything is matched. Masks that do not overlap can only match one object
at IoU above 0.5, so that the order of matching does not matter. Crowd regions are ignored, as COCO does.
"""

from typing import NamedTuple

import numpy as np

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.matches import IOUS, Matches, match
from maskrcnn.evaluation.overlaps import remove_overlaps

THRESHOLDS = IOUS[:9]  # 0.5, 0.55 .. 0.9


class FixedIou(NamedTuple):
    """Counts at a score threshold, for IoU thresholds 0.5, 0.55 .. 0.9."""

    score_threshold: float
    right: np.ndarray  # [9] int64, TP
    wrong: np.ndarray  # [9] int64, FP
    objects: int  # TP + FN

    def scores(self) -> np.ndarray:
        """TP / (TP + FP + FN) [9]; NaN where there is neither an object nor a detection."""
        total = self.objects + self.wrong
        return np.divide(self.right, total, out=np.full(9, np.nan), where=total > 0)

    def as_json(self) -> dict[str, object]:
        """`score_threshold`, `mean` over the IoU thresholds, and `AP`, `TP`, `FP` and `FN` by IoU threshold."""
        scores = self.scores()
        columns = {"AP": scores, "TP": self.right, "FP": self.wrong, "FN": self.objects - self.right}
        return {"score_threshold": self.score_threshold, "mean": float(scores.mean())} | {
            name: {f"{iou:.2f}": value for iou, value in zip(THRESHOLDS, column.tolist())}
            for name, column in columns.items()
        }


def match_without_overlaps(evaluator: CocoEvaluator) -> list[Matches]:
    """Masks of each class, matched after overlaps of detections were removed."""
    apart = {image: remove_overlaps(found) for image, found in evaluator.predictions.items()}
    return match(evaluator.of(apart), "segm")


def count(matches: list[Matches], score_threshold: float) -> FixedIou:
    """Counts over all pictures, and over the classes given.

    Args:
        matches: of each class; score_threshold: detections that score less are left out.
    """
    kept = [found.scores >= score_threshold for found in matches]
    right = sum(found.right[:9, keep].sum(axis=1) for found, keep in zip(matches, kept))
    wrong = sum(found.wrong[:9, keep].sum(axis=1) for found, keep in zip(matches, kept))
    return FixedIou(score_threshold, np.asarray(right), np.asarray(wrong), sum(int(m.objects.sum()) for m in matches))


def find_best(matches: list[Matches]) -> FixedIou:
    """Counts at the score threshold with the highest mean over the IoU thresholds: a detection's score.

    Found on the very pictures that it is reported for, it flatters; take it from a validation set for a test set.
    """
    scores = np.concatenate([found.scores for found in matches])
    if not scores.size:
        return count(matches, 1.0)
    order = np.argsort(-scores, kind="stable")
    right, wrong = (
        np.cumsum(np.concatenate([getattr(found, side)[:9] for found in matches], axis=1)[:, order], axis=1)
        for side in ("right", "wrong")
    )
    objects = sum(int(found.objects.sum()) for found in matches)
    means = (right / np.maximum(objects + wrong, 1)).mean(axis=0)
    scores = scores[order]
    means[:-1][scores[:-1] == scores[1:]] = -1  # equal scores stay or go together
    return count(matches, float(scores[np.argmax(means)]))
