"""NMS and RoIAlign on a GPU: the kernels, the same in torch, and torchvision's if it is there."""

import contextlib
import gc
import sys
from collections.abc import Callable

import torch
from gpu_timing import HEIGHT, WIDTH, Note, milliseconds
from torch import Tensor
from workload import choose_levels, draw_boxes

from maskrcnn.ops.roi_align import feature_table, roi_align


def operators(times: int, note: Note) -> None:
    """NMS of 16 x 5 lists of 2,000 proposals, and RoIAlign of 16 x 512 regions forward and backward."""
    generator = torch.Generator().manual_seed(2)
    with contextlib.suppress(ImportError):
        import torchvision
    known = "torchvision" in sys.modules
    centres = torch.stack([draw_boxes(60, HEIGHT, WIDTH, generator) for _ in range(80)])
    boxes = centres[:, torch.randint(0, 60, (2000,), generator=generator)]
    boxes = (boxes + torch.randn(80, 2000, 4, generator=generator) * 12).cuda()
    boxes[..., 2:] = torch.maximum(boxes[..., 2:], boxes[..., :2] + 1)
    valid = torch.ones(80, 2000, dtype=torch.bool, device="cuda")
    from maskrcnn.ops import nms as ours

    note("nms", milliseconds(lambda: ours.nms(boxes, valid, 0.7), times))
    kept = ours.nms(boxes, valid, 0.7)
    if known:
        scores = torch.arange(2000, 0, -1, device="cuda").float()
        flat, groups = boxes.flatten(0, 1), torch.arange(80, device="cuda").repeat_interleave(2000)

        def per_image() -> list[Tensor]:  # as its RPN does: an image's five levels at once
            return [
                torchvision.ops.batched_nms(flat[i : i + 10000], scores.repeat(5), groups[i : i + 10000], 0.7)
                for i in range(0, 160000, 10000)
            ]

        note("nms, torchvision", milliseconds(per_image, times))
        theirs = torch.zeros_like(kept).flatten()
        for first, index in zip(range(0, 160000, 10000), per_image()):
            theirs[first + index] = True
        note("nms: boxes kept by one of the two alone", int((kept.flatten() != theirs).sum()))
    with_kernel = ours.triton_serves
    try:
        ours.triton_serves = lambda _: False
        note("nms, torch", milliseconds(lambda: ours.nms(boxes, valid, 0.7), times))
    finally:
        ours.triton_serves = with_kernel
    gc.collect()
    torch.cuda.empty_cache()
    for dtype in (torch.float32, torch.bfloat16):
        roi_aligns(dtype, times, generator, known, note)


def roi_aligns(dtype: torch.dtype, times: int, generator: torch.Generator, known: bool, note: Note) -> None:
    from maskrcnn.ops import roi_align as ours

    strides = (4, 8, 16, 32)
    levels = [torch.randn(16, 256, 800 // s, 1344 // s, device="cuda", dtype=dtype) for s in strides]
    levels = [level.to(memory_format=torch.channels_last).requires_grad_() for level in levels]
    boxes = draw_boxes(16 * 512, HEIGHT, WIDTH, generator).cuda()
    images = torch.arange(16, device="cuda").repeat_interleave(512)
    level = choose_levels(boxes)
    gradient = torch.randn(16 * 512, 256, 7, 7, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)

    def run() -> Tensor:
        return roi_align(feature_table(tuple(levels), strides), images, boxes, level, (7, 7), 2, True)

    def both(forward: Callable[[], Tensor]) -> None:
        torch.autograd.grad(forward(), levels, gradient, allow_unused=True)

    name = f"roi_align {str(dtype).removeprefix('torch.')}"
    kernel = ours.triton_serves
    for suffix, serves in (("", kernel), (", torch", lambda _: False)):
        ours.triton_serves = serves
        try:
            note(f"{name}{suffix}, forward", milliseconds(run, times))
            note(f"{name}{suffix}, forward and backward", milliseconds(lambda: both(run), times))
        except RuntimeError as error:
            note(f"{name}{suffix}", str(error).splitlines()[0])
        finally:
            ours.triton_serves = kernel
    if known:
        from torchvision.ops import MultiScaleRoIAlign

        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        plain = [one.detach().contiguous().requires_grad_() for one in levels]
        each = list(boxes.split(512))

        def theirs() -> Tensor:
            pooled: Tensor = pool(dict(zip("0123", plain)), each, [(HEIGHT, WIDTH)] * 16)
            return pooled

        def theirs_both() -> None:
            torch.autograd.grad(theirs(), plain, gradient.contiguous(), allow_unused=True)

        try:
            note(f"{name}, torchvision, forward", milliseconds(theirs, times))
            note(f"{name}, torchvision, forward and backward", milliseconds(theirs_both, times))
        except RuntimeError as error:
            note(f"{name}, torchvision", str(error).splitlines()[0])
