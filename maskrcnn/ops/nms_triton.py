"""Greedy non-maximum suppression on the GPU without a look from the host: exact, for many images and levels at once.

As torchvision's kernel, it first notes for all pairs of boxes which suppresses which, a bit each; what to keep is then
found on the device too, one program a list of boxes, 32 boxes at a time.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

WORD = 32  # boxes that one int32 speaks of


@triton.jit
def _or(a, b):  # type: ignore[no-untyped-def]
    return a | b


@triton.jit
def _mark(boxes, groups, marks, count, words, threshold, GROUPED: tl.constexpr, WORD: tl.constexpr):  # type: ignore[no-untyped-def]
    """Which of 32 boxes (columns) each of 32 before them (rows) suppresses; only the upper triangle is written."""
    problem = tl.program_id(0).to(tl.int64)
    block = tl.program_id(1)
    word = tl.program_id(2)
    if word >= block:
        bit = tl.arange(0, WORD)
        row = block * WORD + bit
        column = word * WORD + bit
        corner = boxes + problem * count * 4
        in_rows = row < count
        in_columns = column < count
        ax1 = tl.load(corner + row * 4, mask=in_rows, other=0.0)[:, None]
        ay1 = tl.load(corner + row * 4 + 1, mask=in_rows, other=0.0)[:, None]
        ax2 = tl.load(corner + row * 4 + 2, mask=in_rows, other=0.0)[:, None]
        ay2 = tl.load(corner + row * 4 + 3, mask=in_rows, other=0.0)[:, None]
        bx1 = tl.load(corner + column * 4, mask=in_columns, other=0.0)[None, :]
        by1 = tl.load(corner + column * 4 + 1, mask=in_columns, other=0.0)[None, :]
        bx2 = tl.load(corner + column * 4 + 2, mask=in_columns, other=0.0)[None, :]
        by2 = tl.load(corner + column * 4 + 3, mask=in_columns, other=0.0)[None, :]
        width = tl.maximum(tl.minimum(ax2, bx2) - tl.maximum(ax1, bx1), 0.0)
        height = tl.maximum(tl.minimum(ay2, by2) - tl.maximum(ay1, by1), 0.0)
        intersection = width * height
        area_a = tl.maximum(ax2 - ax1, 0.0) * tl.maximum(ay2 - ay1, 0.0)
        area_b = tl.maximum(bx2 - bx1, 0.0) * tl.maximum(by2 - by1, 0.0)
        union = area_a + area_b - intersection
        # Rounded as torch rounds it: `/` may be off by two units, and a tie at the threshold would fall otherwise.
        overlap = tl.div_rn(intersection, tl.where(union > 0, union, 1.0))
        suppresses = (overlap > threshold) & (column[None, :] > row[:, None])
        if GROUPED:
            own = tl.load(groups + problem * count + row, mask=in_rows, other=0)[:, None]
            other = tl.load(groups + problem * count + column, mask=in_columns, other=0)[None, :]
            suppresses = suppresses & (own == other)
        bits = tl.reduce(suppresses.to(tl.int32) << bit[None, :], 1, _or)
        tl.store(marks + (problem * count + row) * words + word, bits, mask=in_rows)


@triton.jit
def _keep(marks, valid, keep, count, words, WORD: tl.constexpr, WORDS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Goes through the boxes of one list, 32 at a time: what earlier ones have not suppressed, less what these do."""
    problem = tl.program_id(0).to(tl.int64)
    bit = tl.arange(0, WORD)
    word = tl.arange(0, WORDS)
    suppressed = tl.zeros((WORDS,), tl.int32)
    block = 0
    while block < words:
        row = problem * count + block * WORD + bit
        inside = block * WORD + bit < count
        own = tl.sum(tl.where(word == block, suppressed, 0), axis=0)
        alive = (tl.load(valid + row, mask=inside, other=0) != 0) & (((own >> bit) & 1) == 0)
        among = tl.load(marks + row * words + block, mask=inside, other=0)
        # The 32 among themselves: a fixed point, reached after as many rounds as the longest chain, 32 at most.
        kept = alive
        changed = 1
        while changed > 0:
            by_kept = tl.reduce(tl.where(kept, among, 0), 0, _or)
            now = alive & (((by_kept >> bit) & 1) == 0)
            changed = tl.sum((now != kept).to(tl.int32), axis=0)
            kept = now
        tl.store(keep + row, kept.to(tl.int8), mask=inside)
        later = (word > block) & (word < words)
        theirs = tl.load(marks + row[:, None] * words + word[None, :], mask=kept[:, None] & later[None, :], other=0)
        suppressed = suppressed | tl.reduce(theirs, 0, _or)
        block += 1


@torch.library.custom_op(
    "maskrcnn::nms",
    mutates_args=(),
    schema="(Tensor boxes, Tensor valid, float threshold, Tensor? groups) -> Tensor",
)
def nms(boxes: Tensor, valid: Tensor, threshold: float, groups: Tensor | None) -> Tensor:
    """What `maskrcnn.ops.nms.nms` says, of float32 boxes: the same bits, except where boxes hold NaN."""
    count = boxes.shape[-2]
    problems = valid.numel() // max(count, 1)
    keep = torch.empty_like(valid, memory_format=torch.contiguous_format)
    if problems == 0:
        return keep
    words = triton.cdiv(count, WORD)
    marks = torch.empty(problems * count * words, dtype=torch.int32, device=boxes.device)
    boxes, valid = boxes.contiguous(), valid.contiguous().view(torch.int8)
    rivals = valid if groups is None else groups.contiguous()
    with torch.cuda.device_of(boxes):
        # Without fused multiply-adds the IoU is rounded as torch rounds it.
        _mark[(problems, words, words)](
            boxes,
            rivals,
            marks,
            count,
            words,
            threshold,
            GROUPED=groups is not None,
            WORD=WORD,
            num_warps=4,
            enable_fp_fusion=False,
        )
        _keep[(problems,)](
            marks,
            valid,
            keep.view(torch.int8),
            count,
            words,
            WORD=WORD,
            WORDS=triton.next_power_of_2(words),
            num_warps=4,
        )
    return keep


@nms.register_fake
def _(boxes: Tensor, valid: Tensor, threshold: float, groups: Tensor | None) -> Tensor:
    return torch.empty_like(valid, memory_format=torch.contiguous_format)
