"""Which ground-truth object a candidate box answers for."""

from collections.abc import Iterable
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
# Pairs on a CPU, 128 MB, up to which the IoU is kept for the second look of low-quality matches, not computed again.
KEPT = 2**25


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
        touched = torch.where(best > 0, best, torch.inf)
        positive = positive | (overlap == touched.unsqueeze(-1)).any(dim=-2)
    return Matches(index, positive, (value < low) & ~positive)


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
    chunk, keeps = CHUNK, False
    if boxes.device.type == "cpu" and not torch.compiler.is_compiling():  # elsewhere a step costs a launch, or fuses
        slots = torch.arange(1, valid.shape[1] + 1, device=valid.device)
        used = max(int((slots * valid.any(dim=0)).max()), 1)  # 20 objects lie in 32 slots
        boxes, valid = boxes[:, :used], valid[:, :used]
        chunk = min(CHUNK, max(BLOCK // valid.numel(), 256))
        keeps = valid.numel() * candidates.shape[-2] <= KEPT
    chunks = candidates.split(chunk, dim=-2)

    def overlap(chunk: Tensor) -> Tensor:
        # Candidates last: the best of 8 objects for 12k anchors is found along contiguous memory, three times as fast.
        return torch.where(valid.unsqueeze(-1), iou(boxes.unsqueeze(-2), chunk.unsqueeze(-3)), -1)

    kept = [overlap(chunk) for chunk in chunks] if keeps or len(chunks) == 1 else None

    def overlaps() -> Iterable[Tensor]:
        return kept or map(overlap, chunks)

    best = torch.stack([one.amax(dim=-1) for one in overlaps()]).amax(dim=0) if low_quality else None
    parts = [match_iou(one, low, high, best) for one in overlaps()]
    return Matches(*(torch.cat(field, dim=-1) for field in zip(*parts)))
