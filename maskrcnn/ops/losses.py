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


def box_loss(
    kind: BoxLoss,
    deltas: Tensor,
    references: Tensor,
    boxes: Tensor,
    weights: tuple[float, float, float, float],
    beta: float,
) -> Tensor:
    """The loss of deltas that are to move references to their boxes: [..., 4] each to [...].

    Args:
        kind: giou: 1 - generalized IoU of the moved references (arXiv 1902.09630); smooth_l1: between the deltas and
            those that would do it (arXiv 1504.08083, equation 3), summed over the four.
        weights: of dx, dy, dw, dh; beta: of smooth L1, 0 is plain L1.
    """
    if kind == "giou":
        return 1 - generalized_iou(decode_boxes(deltas, references, weights), boxes)
    wanted = encode_boxes(boxes, references, weights)
    return F.smooth_l1_loss(deltas, wanted, beta=beta, reduction="none").sum(dim=-1)
