"""How much of a data set the configured anchors can reach."""

from typing import NamedTuple

import numpy as np

from maskrcnn.inspection.anchors import Suggestion, best_iou, sample_boxes, shares, suggest
from maskrcnn.inspection.limits import Limits

# COCO's areas of small, medium and large objects, here of the box at the network's size.
SIZES = {"small (under 32 px)": (0, 32), "medium (32 to 96 px)": (32, 96), "large (from 96 px)": (96, np.inf)}


class Reach(NamedTuple):
    """How much of the ground truth anchors can reach."""

    by_size: dict[str, tuple[int, float, float]]  # boxes, and their shares that are reached at IoU 0.5 and 0.7
    suggestion: Suggestion | None  # where it would reach more, and the configuration has keys for it


def measure_reach(boxes: np.ndarray, limits: Limits) -> Reach | None:
    """How much of the ground truth the configuration's anchors can reach; None without any. Of very many boxes, shares
    are those of a sample.

    Args:
        boxes: [M, 4] x, y, width, height at the size of the network's pictures.
        limits: of the configuration.
    """
    sample = sample_boxes(boxes)
    if not len(sample):
        return None
    iou = best_iou(sample, *limits.shapes)
    every, drawn = (np.sqrt(some[:, 2:].clip(min=0).prod(axis=1)) for some in (boxes, sample))
    by_size = {"all": (int((every > 0).sum()), *shares(iou))}
    for size, (low, high) in SIZES.items():
        chosen = (drawn >= low) & (drawn < high)
        if chosen.any():
            by_size[size] = (int(((every > 0) & (every >= low) & (every < high)).sum()), *shares(iou[chosen]))
    better = suggest(sample, limits.strides) if limits.scaled else None
    return Reach(by_size, better if better and better.reached[1] > by_size["all"][2] + 0.01 else None)
