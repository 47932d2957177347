"""How much of the ground truth anchors can reach, and which would reach more."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from maskrcnn.modeling.anchors import Anchors

MOST = 20_000  # boxes that are looked at; shares then have a standard error of 0.4 %
SCALES = 2 ** (np.arange(2, 15) / 4)  # of the shortest list of candidates: 1.4 to 11.3 strides
WORTH = 0.01  # share of boxes that one more anchor at a cell must bring


class Suggestion(NamedTuple):
    """Anchors, and the shares of boxes that they reach."""

    scales: list[float]
    ratios: list[float]
    reached: tuple[float, float]  # at IoU 0.5 and 0.7


def sample_boxes(boxes: np.ndarray) -> np.ndarray:
    """The boxes [M, 4] that have an area, or as many of them as suffice."""
    boxes = boxes[boxes[:, 2:].min(axis=1, initial=np.inf) > 0]
    if len(boxes) <= MOST:
        return boxes
    return boxes[np.sort(np.random.default_rng(0).choice(len(boxes), MOST, replace=False))]


# Of one cell of every level: widths and heights [A, 2] of its anchors, and their strides [A].
Shapes = tuple[np.ndarray, np.ndarray]


def cell_shapes(strides: Sequence[int], scales: list[float], ratios: list[float]) -> Shapes:
    """The anchors that a configuration would give."""
    sides = np.array([[stride * scale for scale in scales] for stride in strides]).ravel()
    root = np.sqrt(np.array(ratios))[:, None]
    shapes = np.stack([sides / root, sides * root], axis=-1).reshape(-1, 2)
    return shapes, np.tile(np.repeat(strides, len(scales)), len(ratios))


def model_shapes(anchors: Anchors, strides: Sequence[int]) -> Shapes:
    """The anchors of a model, also such as the user wrote, whose levels have these strides."""
    of_one_cell = anchors(tuple(torch.zeros(1, 1, 1, 1) for _ in strides))
    corners = torch.stack(of_one_cell).double().numpy()
    return (corners[..., 2:] - corners[..., :2]).reshape(-1, 2), np.repeat(np.array(strides), corners.shape[1])


def best_iou(boxes: np.ndarray, shapes: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """The IoU of each box with the anchor that fits it best, of all that stand on the grids of their strides.

    Args:
        boxes: [M, 4] x, y, width, height at the size of the network's pictures.
        shapes, strides: of `Shapes`.
    """
    centres = boxes[:, None, :2] + boxes[:, None, 2:] / 2  # [M, 1, 2]
    offset = np.abs(centres - np.round(centres / strides[:, None]) * strides[:, None])  # to the nearest anchor
    sides = boxes[:, None, 2:]
    common = np.minimum(np.minimum(sides, shapes), (sides + shapes) / 2 - offset).clip(min=0).prod(-1)
    return (common / (sides.prod(-1) + shapes.prod(-1) - common)).max(axis=1)


def shares(iou: np.ndarray) -> tuple[float, float]:
    """The shares of boxes with an IoU of 0.5, and of 0.7, or more."""
    return float((iou >= 0.5).mean()), float((iou >= 0.7).mean())


def cluster(values: np.ndarray, k: int) -> list[float]:
    """The centres of k clusters of positive numbers, ascending: k-means of their logarithms, started at quantiles."""
    logs = np.log(values)
    centres = np.quantile(logs, (np.arange(k) + 0.5) / k)
    for _ in range(100):
        nearest = np.abs(logs[:, None] - centres).argmin(axis=1)
        moved = np.array([logs[nearest == i].mean() if (nearest == i).any() else centres[i] for i in range(k)])
        if np.allclose(moved, centres):
            break
        centres = moved
    return [round(float(value), 2) for value in np.exp(centres)]


def suggest(boxes: np.ndarray, strides: Sequence[int]) -> Suggestion:
    """The fewest anchors that reach nearly the most at IoU 0.7: square ones, or of three ratios found by k-means.

    Args:
        boxes: [M, 4] x, y, width, height at the size of the network's pictures.
        strides: of the levels.
    """
    ratios = cluster(boxes[:, 3] / boxes[:, 2], 3)
    found: list[tuple[float, float, Suggestion]] = []
    for scale in SCALES.tolist():
        for octave in ([1.0], [1.0, 2 ** (1 / 3), 2 ** (2 / 3)]):
            for kinds in ([1.0], ratios):
                scales = [round(scale * part, 2) for part in octave]
                iou = best_iou(boxes, *cell_shapes(strides, scales, kinds))
                reached = shares(iou)
                worth = reached[1] - WORTH * len(scales) * len(kinds)
                found.append((worth, float(iou.mean()), Suggestion(scales, kinds, reached)))
    return max(found)[2]
