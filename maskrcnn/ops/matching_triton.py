"""Matching of candidate boxes to objects on the GPU: no IoU of a pair is ever written to memory."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # candidates of a program


@triton.jit
def _overlap(box, x1, y1, x2, y2):  # type: ignore[no-untyped-def]
    """IoU of the box that a pointer shows with boxes given by coordinates, rounded as `maskrcnn.ops.boxes.iou`."""
    bx1, by1 = tl.load(box), tl.load(box + 1)
    bx2, by2 = tl.load(box + 2), tl.load(box + 3)
    width = tl.maximum(tl.minimum(x2, bx2) - tl.maximum(x1, bx1), 0.0)
    height = tl.maximum(tl.minimum(y2, by2) - tl.maximum(y1, by1), 0.0)
    intersection = width * height
    box_area = tl.maximum(bx2 - bx1, 0.0) * tl.maximum(by2 - by1, 0.0)
    union = box_area + tl.maximum(x2 - x1, 0.0) * tl.maximum(y2 - y1, 0.0) - intersection
    return tl.div_rn(intersection, tl.where(union > 0, union, 1.0))


@triton.jit
def _best(candidates, boxes, valid, best, count, stride, objects, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The highest IoU that each object has with any candidate; the bits of a number from 0 on are ordered as it is."""
    image = tl.program_id(1).to(tl.int64)
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < count
    corner = candidates + image * stride + index * 4
    x1, y1 = tl.load(corner, mask=inside, other=0.0), tl.load(corner + 1, mask=inside, other=0.0)
    x2, y2 = tl.load(corner + 2, mask=inside, other=0.0), tl.load(corner + 3, mask=inside, other=0.0)
    slot = image * objects
    end = slot + objects
    while slot < end:
        if tl.load(valid + slot) != 0:
            highest = tl.max(tl.where(inside, _overlap(boxes + slot * 4, x1, y1, x2, y2), 0.0), axis=0)
            tl.atomic_max(best + slot, highest.to(tl.int32, bitcast=True))
        slot += 1


@triton.jit
def _match(  # type: ignore[no-untyped-def]
    candidates,
    boxes,
    valid,
    best,
    matched,
    positive,
    negative,
    count,
    stride,
    objects,
    low,
    high,
    LOW_QUALITY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    image = tl.program_id(1).to(tl.int64)
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < count
    corner = candidates + image * stride + index * 4
    x1, y1 = tl.load(corner, mask=inside, other=0.0), tl.load(corner + 1, mask=inside, other=0.0)
    x2, y2 = tl.load(corner + 2, mask=inside, other=0.0), tl.load(corner + 3, mask=inside, other=0.0)
    value = tl.full((BLOCK,), -1.0, tl.float32)
    which = tl.zeros((BLOCK,), tl.int64)
    also = tl.zeros((BLOCK,), tl.int32)
    slot = image * objects
    end = slot + objects
    while slot < end:
        if tl.load(valid + slot) != 0:
            overlap = _overlap(boxes + slot * 4, x1, y1, x2, y2)
            which = tl.where(overlap > value, slot - image * objects, which)
            value = tl.maximum(overlap, value)
            if LOW_QUALITY:
                highest = tl.load(best + slot).to(tl.float32, bitcast=True)
                also = also | ((overlap == highest) & (overlap > 0)).to(tl.int32)
        slot += 1
    is_positive = (value >= high) | (also != 0)
    out = image * count + index
    tl.store(matched + out, which, mask=inside)
    tl.store(positive + out, is_positive.to(tl.int8), mask=inside)
    tl.store(negative + out, ((value < low) & (is_positive == 0)).to(tl.int8), mask=inside)


@torch.library.custom_op(
    "maskrcnn::match_boxes",
    mutates_args=(),
    schema="(Tensor candidates, Tensor boxes, Tensor valid, float low, float high, bool low_quality) "
    "-> (Tensor, Tensor, Tensor)",
)
def match_boxes(
    candidates: Tensor, boxes: Tensor, valid: Tensor, low: float, high: float, low_quality: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The fields of `maskrcnn.ops.matching.match_boxes`, of float32 boxes: the same bits."""
    images, objects = valid.shape
    count = candidates.shape[-2]
    stride = 0 if candidates.dim() == 2 else count * 4
    candidates, boxes, valid = candidates.contiguous(), boxes.contiguous(), valid.contiguous().view(torch.int8)
    best = torch.zeros(images, objects, dtype=torch.int32, device=boxes.device)
    matched = torch.empty(images, count, dtype=torch.int64, device=boxes.device)
    positive = torch.empty(images, count, dtype=torch.bool, device=boxes.device)
    negative = torch.empty_like(positive)
    grid = (triton.cdiv(count, BLOCK), images)
    # Without fused multiply-adds the IoU is rounded as torch rounds it.
    with torch.cuda.device_of(boxes):
        if low_quality:
            _best[grid](
                candidates, boxes, valid, best, count, stride, objects, BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False
            )
        _match[grid](
            candidates,
            boxes,
            valid,
            best,
            matched,
            positive.view(torch.int8),
            negative.view(torch.int8),
            count,
            stride,
            objects,
            low,
            high,
            LOW_QUALITY=low_quality,
            BLOCK=BLOCK,
            num_warps=4,
            enable_fp_fusion=False,
        )
    return matched, positive, negative


@match_boxes.register_fake
def _(
    candidates: Tensor, boxes: Tensor, valid: Tensor, low: float, high: float, low_quality: bool
) -> tuple[Tensor, Tensor, Tensor]:
    matched = valid.new_empty(valid.shape[0], candidates.shape[-2], dtype=torch.int64)
    return matched, torch.empty_like(matched, dtype=torch.bool), torch.empty_like(matched, dtype=torch.bool)
