"""Which ground-truth object a candidate box answers for."""

from typing import NamedTuple

import torch
from torch import Tensor

from maskrcnn.ops.boxes import iou
from maskrcnn.ops.kernels import triton_serves

# Candidates compared at a time: 65,536 anchors x 100 objects take 26 MB an image; all 268k anchors of 800 x 1344 would
# take 107 MB.
CHUNK = 65536
# Pairs of object and candidate at a time on a CPU, 512 KB for each number of theirs: within a core's cache the IoU of 8
# pictures with 49k anchors and 50 objects took 0.4 of the time.
BLOCK = 2**17


class Matches(NamedTuple):
    """For each candidate its object, and whether it is an example for or against one; neither means ignored."""

    index: Tensor  # type: ignore[assignment]  # [..., N] int64, the object of highest IoU; hides tuple.index
    positive: Tensor  # [..., N] bool
    negative: Tensor  # [..., N] bool


def match_iou(overlap: Tensor, low: float, high: float, best: Tensor | None = None) -> Matches:
    """Matches candidates to objects by their IoU (arXiv 1506.01497, section 3.1.2).

    Args:
        overlap: [..., G, N] IoU; negative for objects that are not there.
        low, high: below `low` a candidate is negative, from `high` on positive, between them ignored.
        best: [..., G] for low-quality matches: a candidate whose IoU with an object is this object's best among all
            candidates, and not 0, is positive too, for the object that it overlaps most.
    """
    value, index = overlap.max(dim=-2)
    positive = value >= high
    if best is not None:
        positive = positive | ((overlap == best.unsqueeze(-1)) & (overlap > 0)).any(dim=-2)
    return Matches(index, positive, (value < low) & ~positive)


def _chunk(boxes: Tensor) -> int:
    """Candidates at a time for the objects [B, G, 4]."""
    if boxes.device.type != "cpu" or torch.compiler.is_compiling():  # where each step costs a launch, or fuses
        return CHUNK
    return min(CHUNK, max(BLOCK // max(boxes.shape[0] * boxes.shape[1], 1), 256))


def match_boxes(
    candidates: Tensor, boxes: Tensor, valid: Tensor, *, low: float, high: float, low_quality: bool
) -> Matches:
    """Matches candidate boxes to the objects of each image, in chunks that bound the memory.

    On a GPU a Triton kernel does it, which writes no IoU to memory (maskrcnn/ops/matching_triton.py).

    Args:
        candidates: [N, 4], or [B, N, 4] where each image has its own.
        boxes: [B, G, 4] objects; valid: [B, G] bool.
        low, high: IoU thresholds of `match_iou`; low_quality: also match each object's best candidates.

    Returns:
        `Matches` with fields [B, N].
    """
    if triton_serves(boxes):
        from maskrcnn.ops import matching_triton

        return Matches(*matching_triton.match_boxes(candidates, boxes, valid, low, high, low_quality))
    chunks = candidates.split(_chunk(boxes), dim=-2)

    def overlap(chunk: Tensor) -> Tensor:
        # Candidates last: the best of 8 objects for 12k anchors is found along contiguous memory, three times as fast.
        return torch.where(valid.unsqueeze(-1), iou(boxes.unsqueeze(-2), chunk.unsqueeze(-3)), -1)

    first = overlap(chunks[0])
    rest = chunks[1:]
    best = None
    if low_quality:
        best = torch.stack([first.amax(dim=-1), *(overlap(chunk).amax(dim=-1) for chunk in rest)]).amax(dim=0)
    parts = [match_iou(first, low, high, best)] + [match_iou(overlap(chunk), low, high, best) for chunk in rest]
    return Matches(*(torch.cat(field, dim=-1) for field in zip(*parts)))
