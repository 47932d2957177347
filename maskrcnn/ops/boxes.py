"""Boxes as x1, y1, x2, y2: overlap, clipping, and the deltas that the network predicts."""

import math

import torch
from torch import Tensor

# exp() of a predicted width or height stops here: a 1000 px object from a 16 px anchor (Detectron and its successors).
MAX_LOG_SCALE = math.log(1000 / 16)
UNIT_BOX = (0.0, 0.0, 1.0, 1.0)  # stands in invalid slots


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Values [n] in the dtype of `like`, written on its device: for a copy of a list from the host a GPU waits."""
    return torch.stack([like.new_full((), value) for value in values])


def box_area(boxes: Tensor) -> Tensor:
    """Areas [...] of boxes [..., 4], in square pixels; an inverted box has area 0."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def _intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    # Coordinate by coordinate, each contiguous: a stacked [..., 2] intermediate takes twice the time on a CPU, and
    # every fourth number of memory cannot be read in vectors.
    ax1, ay1, ax2, ay2 = a.movedim(-1, 0).contiguous()
    bx1, by1, bx2, by2 = b.movedim(-1, 0).contiguous()
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp(min=0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp(min=0)
    intersection = width * height
    return intersection, box_area(a) + box_area(b) - intersection


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes that broadcast against each other.

    Args:
        a, b: [..., 4] float. For all pairs: `iou(a[:, None], b[None])`.

    Returns:
        [...] in 0..1; 0 where both boxes are empty.
    """
    intersection, union = _intersection_and_union(a, b)
    return intersection / torch.where(union > 0, union, 1)


def generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """Generalized IoU (arXiv 1902.09630) of boxes that broadcast against each other: [...] in -1..1."""
    intersection, union = _intersection_and_union(a, b)
    hull = (torch.maximum(a[..., 2], b[..., 2]) - torch.minimum(a[..., 0], b[..., 0])).clamp(min=0) * (
        torch.maximum(a[..., 3], b[..., 3]) - torch.minimum(a[..., 1], b[..., 1])
    ).clamp(min=0)
    overlap = intersection / torch.where(union > 0, union, 1)
    return overlap - (hull - union) / torch.where(hull > 0, hull, 1)


def clip_boxes(boxes: Tensor, image_sizes: Tensor) -> Tensor:
    """Boxes [B, N, 4] cut to the content of their pictures, `image_sizes` [B, 2] as height and width."""
    limits = image_sizes.flip(-1).repeat(1, 2).unsqueeze(1).to(boxes.dtype)
    return torch.minimum(boxes.clamp(min=0), limits)


def encode_boxes(boxes: Tensor, references: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Deltas that move `references` onto `boxes` (arXiv 1311.2524, appendix C), times `weights`.

    Args:
        boxes, references: [..., 4] of positive width and height.
        weights: of dx, dy, dw, dh.

    Returns:
        [..., 4]: dx, dy in reference widths and heights; dw, dh logarithms of the ratio.
    """
    sizes = references[..., 2:] - references[..., :2]
    target_sizes = boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + target_sizes / 2 - references[..., :2] - sizes / 2) / sizes
    return torch.cat((shift, torch.log(target_sizes / sizes)), dim=-1) * constant(weights, boxes)


def decode_boxes(deltas: Tensor, references: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Boxes [..., 4] that `deltas` make of `references`: inverts `encode_boxes`, with dw, dh at most MAX_LOG_SCALE."""
    deltas = deltas / constant(weights, deltas)
    sizes = references[..., 2:] - references[..., :2]
    centers = references[..., :2] + sizes / 2 + deltas[..., :2] * sizes
    half = torch.exp(deltas[..., 2:].clamp(max=MAX_LOG_SCALE)) * sizes / 2
    return torch.cat((centers - half, centers + half), dim=-1)
