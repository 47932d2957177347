"""Soft non-maximum suppression (Bodla et al. 2017, arXiv 1704.04503): overlapping boxes lose score, not their place."""

from typing import Literal

import torch
from torch import Tensor

from maskrcnn.ops.boxes import iou

Decay = Literal["linear", "gaussian"]


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    valid: Tensor,
    *,
    decay: Decay,
    threshold: float,
    sigma: float,
    least: float,
    most: int,
    groups: Tensor | None = None,
) -> Tensor:
    """The scores that boxes are left with when each chosen box lowers those of the boxes that it overlaps.

    The box of highest score is chosen, the scores of the others fall by their IoU with it, and so on: `most` times, a
    number that depends on no data.

    Args:
        boxes: [B, N, 4]; scores: [B, N]; valid: [B, N] bool, invalid boxes are never chosen.
        decay: linear multiplies a score by 1 - IoU where the IoU is above `threshold`, and gaussian any score by
            exp(-IoU^2 / `sigma`); 0.5 in the paper.
        least: a box whose score is not above it is not chosen.
        most: boxes of an image that are chosen.
        groups: [B, N] integers; only boxes of the same group lower each other's scores. None: one group.

    Returns:
        [B, N]: the scores of the chosen boxes, -1 elsewhere.
    """
    slots = torch.arange(boxes.shape[1], device=boxes.device)

    def unfinished(step: Tensor, left: Tensor, final: Tensor) -> Tensor:
        return (step < most) & (left > least).any()

    def choose(step: Tensor, left: Tensor, final: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        best, index = left.max(dim=1, keepdim=True)  # [B, 1]
        chosen = (slots == index) & (best > least)
        overlap = iou(boxes.gather(1, index[..., None].expand(-1, -1, 4)), boxes)
        if decay == "linear":
            factor = torch.where(overlap > threshold, 1 - overlap, 1)
        else:
            factor = torch.exp(-(overlap**2) / sigma)
        if groups is not None:
            factor = torch.where(groups == groups.gather(1, index), factor, 1)
        lowered = torch.where((left > 0) & (best > least), left * factor, left)
        return step + 1, torch.where(chosen, -1, lowered), torch.where(chosen, best, final)

    step = torch.zeros((), dtype=torch.int64, device=boxes.device)
    left = torch.where(valid, scores, -1)
    final = torch.full_like(scores, -1)
    if torch.compiler.is_compiling():
        final = torch.while_loop(unfinished, choose, (step, left, final))[2]
        return final
    # As in `nms`: torch.while_loop compiles itself for each new shape when it is called eagerly.
    while unfinished(step, left, final):
        step, left, final = choose(step, left, final)
    return final
