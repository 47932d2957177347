"""Losses over padded slots, as sums; the number to divide by travels beside them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ops.boxes import decode_boxes, encode_boxes, generalized_iou
from maskrcnn.structures import Loss

BoxLoss = Literal["smooth_l1", "giou"]


def masked_loss(values: Tensor, valid: Tensor, count: Tensor) -> Loss:
    """Sums the values of valid slots; `where`, not a product, since 0 x NaN is NaN. All [...] alike, count a scalar."""
    return Loss(torch.where(valid, values, 0).sum(), count.to(torch.float32))


def smooth_l1(deltas: Tensor, targets: Tensor, beta: float) -> Tensor:
    """Smooth L1 (arXiv 1504.08083, equation 3) summed over the four deltas: [..., 4] to [...]; beta 0 is plain L1."""
    return F.smooth_l1_loss(deltas, targets, beta=beta, reduction="none").sum(dim=-1)


def giou_loss(deltas: Tensor, references: Tensor, boxes: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """1 - generalized IoU (arXiv 1902.09630) of decoded deltas with their boxes: [..., 4] each to [...]."""
    return 1 - generalized_iou(decode_boxes(deltas, references, weights), boxes)


def box_loss(
    kind: BoxLoss,
    deltas: Tensor,
    references: Tensor,
    boxes: Tensor,
    weights: tuple[float, float, float, float],
    beta: float,
) -> Tensor:
    """The loss of either kind of deltas that are to move references to their boxes: [..., 4] each to [...]."""
    if kind == "giou":
        return giou_loss(deltas, references, boxes, weights)
    return smooth_l1(deltas, encode_boxes(boxes, references, weights), beta)
