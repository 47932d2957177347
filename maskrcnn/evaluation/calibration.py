"""Whether a score is the share of detections that are right (Guo et al., arXiv 1706.04599; for detection Kueppers et
al., arXiv 2004.13546): detections in bins of equal width by score, at IoU 0.5. Those on crowd regions are left out.
"""

from typing import Any

import numpy as np
from hotcoco.metrics import calibration_curve, calibration_error

from maskrcnn.evaluation.matches import Matches


def calibrate(classes: list[Matches], bins: int) -> dict[str, Any]:
    """Reliability of the scores of some classes together.

    Args:
        classes: matches of each; bins: how many.

    Returns:
        `ece`, the expected calibration error: the gap between mean score and share of right ones, averaged over the
        detections; None without any. `bins`: mappings of `low` and `high` (exclusive but for the last), `count`,
        `score` (mean) and `right` (share); the latter two None for an empty bin.
    """
    counted = [found.right[0] | found.wrong[0] for found in classes]
    scores = np.concatenate([found.scores[kept] for found, kept in zip(classes, counted)])
    right = np.concatenate([found.right[0][kept] for found, kept in zip(classes, counted)])
    return {
        "ece": calibration_error(scores, right, bins)[0] if scores.size else None,
        "bins": [
            {
                "low": entry["bin_lower"],
                "high": entry["bin_upper"],
                "count": entry["count"],
                "score": entry["avg_confidence"] if entry["count"] else None,
                "right": entry["avg_accuracy"] if entry["count"] else None,
            }
            for entry in calibration_curve(scores, right, bins)
        ],
    }
