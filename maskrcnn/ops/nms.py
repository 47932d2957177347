"""Greedy non-maximum suppression as a fixed point: exact, batched, without data-dependent shapes."""

import torch
from torch import Tensor

from maskrcnn.ops.boxes import iou
from maskrcnn.ops.kernels import triton_serves

BLOCK = 128  # boxes compared with each other at a time on a CPU


def nms(boxes: Tensor, valid: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    """Which boxes greedy non-maximum suppression keeps.

    A box is kept if no kept box before it overlaps it by more than the threshold. Iterating this sentence from "all
    are kept" ends in its only fixed point, the greedy result ("Cluster-NMS", arXiv 2005.03572); it takes as many
    rounds as the longest chain of suppressions, 4 to 14 on proposals, some 200 on a blank picture. On a GPU, where the
    host would wait in each round, a Triton kernel goes through the boxes (maskrcnn/ops/nms_triton.py).

    Args:
        boxes: [..., N, 4], best first.
        valid: [..., N] bool; invalid boxes are not kept and suppress nothing.
        threshold: highest IoU that two kept boxes may have.
        groups: [..., N] integers; only boxes of the same group suppress each other. None: one group.

    Returns:
        [..., N] bool.
    """
    if triton_serves(boxes):
        from maskrcnn.ops import nms_triton

        return nms_triton.nms(boxes, valid, threshold, groups)
    if boxes.device.type == "cpu" and not torch.compiler.is_compiling():
        each, real = boxes.flatten(0, -3) if boxes.dim() > 2 else boxes[None], valid.reshape(-1, valid.shape[-1])
        own = [None] * len(real) if groups is None else list(groups.reshape(real.shape))
        return torch.stack([_of_list(*one, threshold) for one in zip(each, real, own)]).view_as(valid)
    return _fixed_point(_suppresses(boxes, boxes, threshold, groups, groups), valid)


def _suppresses(a: Tensor, b: Tensor, threshold: float, groups_a: Tensor | None, groups_b: Tensor | None) -> Tensor:
    """[..., N, M] bool: which boxes a [..., N, 4] overlap which b [..., M, 4] of their group too much."""
    over = iou(a.unsqueeze(-2), b.unsqueeze(-3)) > threshold
    if groups_a is None or groups_b is None:
        return over
    return over & (groups_a.unsqueeze(-1) == groups_b.unsqueeze(-2))


def _fixed_point(suppresses: Tensor, valid: Tensor) -> Tensor:
    # As float, so that a round is one matrix product: half the time of a boolean reduction on a CPU.
    weights = suppresses.triu(1).to(torch.float32)

    def refine(keep: Tensor) -> Tensor:
        return valid & (torch.matmul(keep.to(torch.float32).unsqueeze(-2), weights).squeeze(-2) == 0)

    def changed(keep: Tensor, before: Tensor) -> Tensor:
        return (keep != before).any()

    def step(keep: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        return refine(keep), keep.clone()

    # The first round too belongs to the loop: outside it, torch 2.13's inductor makes overlap and product one kernel on
    # a CPU and stores whole vectors at its rows' end, beyond the memory unless 16 divides N (pytorch issue 196681).
    keep, before = valid.clone(), ~valid
    if torch.compiler.is_compiling():
        return torch.while_loop(changed, step, (keep, before))[0]
    # torch.while_loop compiles itself for each new shape when it is called eagerly (3.6 s): the same loop in Python.
    while changed(keep, before):
        keep, before = step(keep, before)
    return keep


def _of_list(boxes: Tensor, valid: Tensor, groups: Tensor | None, threshold: float) -> Tensor:
    """The same of one list [N, 4] on a CPU, block by block: the kept of a block leave fewer boxes for the next.

    Of 2,000 boxes that is a small part of all pairs, and what is compared at a time stays in the cache.
    """
    left = valid.nonzero().flatten()  # neither kept nor suppressed yet
    keep = torch.zeros_like(valid)
    while len(left):
        index, left = left[:BLOCK], left[BLOCK:]
        block, group = boxes[index], None if groups is None else groups[index]
        chosen = _fixed_point(_suppresses(block, block, threshold, group, group), valid[index])
        index = index[chosen]
        keep[index] = True
        own, others = (None, None) if groups is None else (groups[index], groups[left])
        left = left[~_suppresses(boxes[index], boxes[left], threshold, own, others).any(dim=0)]
    return keep
