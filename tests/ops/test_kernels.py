"""The Triton kernels against the operators in torch: on a GPU where there is one, else by Triton's interpreter."""

import importlib
import os

import pytest
import torch
from torch import Tensor

from maskrcnn.ops import roi_align as torch_roi_align
from maskrcnn.ops.kernels import HAS_TRITON
from maskrcnn.ops.matching import match_boxes
from maskrcnn.ops.nms import nms
from maskrcnn.ops.roi_align import feature_table, roi_align

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
if not HAS_TRITON:
    pytest.skip("triton, which comes with torch's CUDA builds, is not here", allow_module_level=True)
if not CUDA and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("needs a CUDA GPU; TRITON_INTERPRET=1 runs the kernels without one", allow_module_level=True)
for name in ("matching", "nms", "norm", "roi_align"):
    importlib.import_module(f"maskrcnn.ops.{name}_triton")
needs_cuda = pytest.mark.skipif(not CUDA, reason="needs a CUDA GPU")


def random_boxes(n: int, seed: int, spread: float = 100) -> Tensor:
    r = torch.rand(n, 4, generator=torch.Generator().manual_seed(seed))
    return torch.cat((r[:, :2] * spread, r[:, :2] * spread + r[:, 2:] * 40 + 1), dim=1)


def assert_kept_alike(boxes: Tensor, valid: Tensor, threshold: float, groups: Tensor | None = None) -> None:
    wanted = nms(boxes, valid, threshold, groups)
    assert wanted.any()
    there = [None if x is None else x.to(DEVICE) for x in (boxes, valid, groups)]
    kept = torch.ops.maskrcnn.nms(there[0], there[1], threshold, there[2])
    assert torch.equal(kept.cpu(), wanted)


@pytest.mark.parametrize("grouped", [False, True])
def test_nms_of_lists_with_invalid_boxes(grouped: bool) -> None:
    n = 700 if CUDA else 40
    boxes = torch.stack([random_boxes(n, seed) for seed in range(2)])
    generator = torch.Generator().manual_seed(0)
    valid = torch.rand(2, n, generator=generator) < 0.8
    groups = torch.randint(0, 3, (2, n), generator=generator) if grouped else None
    assert_kept_alike(boxes, valid, 0.4, groups)


def test_nms_along_a_chain_where_every_box_suppresses_the_next() -> None:
    n = 2000 if CUDA else 70
    x = torch.arange(float(n)) * 4
    boxes = torch.stack((x, torch.zeros(n), x + 10, torch.full((n,), 10.0)), dim=1)
    assert_kept_alike(boxes, torch.ones(n, dtype=torch.bool), 0.4)


@needs_cuda
@pytest.mark.parametrize("threshold", [0.5, 0.7, 7 / 9])  # 7/9 is the IoU of neighbours: 28 / 36
def test_nms_of_a_blank_picture_where_all_scores_tie(threshold: float) -> None:
    y, x = torch.meshgrid(torch.arange(44.0) * 4, torch.arange(44.0) * 4, indexing="ij")
    boxes = torch.stack((x, y, x + 32, y + 32), dim=-1).view(1, -1, 4).repeat(3, 1, 1)
    valid = torch.ones(3, 44 * 44, dtype=torch.bool)
    valid[1, ::3] = False
    assert_kept_alike(boxes, valid, threshold)


@needs_cuda
def test_nms_is_a_node_of_one_compiled_graph() -> None:
    boxes, valid = random_boxes(300, 1).cuda(), torch.ones(300, dtype=torch.bool, device="cuda")
    compiled = torch.compile(nms, fullgraph=True)
    assert torch.equal(compiled(boxes, valid, 0.5).cpu(), nms(boxes.cpu(), valid.cpu(), 0.5))


@pytest.mark.parametrize("of_each_image", [False, True])
@pytest.mark.parametrize("low, high, low_quality", [(0.3, 0.7, True), (0.5, 0.5, False)])
def test_matching(low: float, high: float, low_quality: bool, of_each_image: bool) -> None:
    n = 5000 if CUDA else 60
    candidates = torch.stack([random_boxes(n, 4), random_boxes(n, 5)])
    boxes = torch.stack([random_boxes(7, 6), random_boxes(7, 7)])
    boxes[1, 3] = candidates[1, 10]  # IoU 1, and twice the same object: the first is the match
    boxes[1, 4] = candidates[1, 10]
    valid = torch.tensor([[True] * 7, [False, True, True, True, True, False, False]])
    candidates = candidates if of_each_image else candidates[1]
    wanted = match_boxes(candidates, boxes, valid, low=low, high=high, low_quality=low_quality)
    there = [x.to(DEVICE) for x in (candidates, boxes, valid)]
    found = torch.ops.maskrcnn.match_boxes(*there, low, high, low_quality)
    assert wanted.positive.any() and wanted.negative.any()
    assert wanted.index[1, 10] == 3
    for mine, theirs in zip(found, wanted, strict=True):
        assert torch.equal(mine.cpu(), theirs)


def test_matching_without_objects_makes_all_negative() -> None:
    candidates, boxes = random_boxes(20, 8).to(DEVICE), torch.zeros(1, 3, 4).to(DEVICE)
    none = torch.zeros(1, 3, dtype=torch.bool).to(DEVICE)
    index, positive, negative = torch.ops.maskrcnn.match_boxes(candidates, boxes, none, 0.3, 0.7, True)
    assert negative.all() and not positive.any() and not index.any()


@pytest.mark.parametrize("dtype, error", [(torch.float32, 1e-6), (torch.float16, 5e-4)], ids=str)
@pytest.mark.parametrize("with_shortcut", [False, True])
@pytest.mark.parametrize("channels", [12, 320])
def test_scale_shift_relu(channels: int, with_shortcut: bool, dtype: torch.dtype, error: float) -> None:
    from maskrcnn.ops.norm_triton import ScaleShiftReLU

    generator = torch.Generator().manual_seed(9)
    x, shortcut, gradient = (torch.randn(2, channels, 5, 7, generator=generator).to(dtype) for _ in range(3))
    scale, shift = torch.rand(channels, generator=generator) + 0.5, torch.randn(channels, generator=generator)
    exact = [x.double().requires_grad_(), shortcut.double().requires_grad_()]
    wanted = exact[0] * scale[:, None, None] + shift[:, None, None] + (exact[1] if with_shortcut else 0)
    wanted = wanted.relu()
    leaves = [x.to(DEVICE).requires_grad_(), shortcut.to(DEVICE).requires_grad_()]
    out = ScaleShiftReLU.apply(leaves[0], scale.to(DEVICE), shift.to(DEVICE), leaves[1] if with_shortcut else None)
    count = 2 if with_shortcut else 1
    found = torch.autograd.grad(out, leaves[:count], gradient.to(DEVICE))
    for mine, theirs in zip((out, *found), (wanted, *torch.autograd.grad(wanted, exact[:count], gradient.double()))):
        assert mine.dtype == dtype
        assert (mine.cpu().double() - theirs).norm() < error * theirs.norm()


def test_scale_shift_relu_hides_no_nan() -> None:
    from maskrcnn.ops.norm_triton import ScaleShiftReLU

    one = torch.ones(2, device=DEVICE)
    x = torch.tensor([float("nan"), -1.0, 2.0, float("inf")], device=DEVICE).view(1, 2, 1, 2)
    out = ScaleShiftReLU.apply(x, one, one, None).flatten().tolist()
    assert out[0] != out[0] and out[1:] == [0.0, 3.0, float("inf")]


def pool_and_back(
    triton: bool,
    dtype: torch.dtype,
    device: str,
    channels: int,
    regions: int,
    aligned: bool,
    sampling: int,
    size: tuple[int, int],
) -> list[Tensor]:
    """Pooled regions of a pyramid of two levels and two images, and the gradients of both levels."""
    generator = torch.Generator().manual_seed(3)
    shapes = ((34, 51), (17, 26)) if CUDA else ((10, 13), (5, 7))
    features = [torch.randn(2, channels, *shape, generator=generator) for shape in shapes]
    # Some reach over the border, by more than a cell; the first is what stands in an empty slot.
    corners = torch.rand(regions, 2, generator=generator) * shapes[0][0] * 4 - 12
    boxes = torch.cat((corners, corners + torch.rand(regions, 2, generator=generator) * 60), dim=1)
    boxes[0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    images = torch.randint(0, 2, (regions,), generator=generator)
    levels = torch.randint(0, 2, (regions,), generator=generator)
    gradient = torch.randn(regions, channels, *size, generator=generator)
    leaves = [level.to(torch.bfloat16).to(device, dtype).requires_grad_() for level in features]
    table = feature_table(tuple(leaves), (4, 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_roi_align, "triton_serves", lambda _: triton)
        out = roi_align(table, images.to(device), boxes.to(device), levels.to(device), size, sampling, aligned)
    out.backward(gradient.to(torch.bfloat16).to(device, dtype))
    return [out.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


# Errors are relative to the norm. float16 has 11 bits, bfloat16 8, for the result alone: sums are in float32.
CASES = [(torch.float32, 2e-6), (torch.float16, 5e-4)] + ([(torch.bfloat16, 4e-3)] if CUDA else [])


@pytest.mark.parametrize("dtype, error", CASES, ids=str)
@pytest.mark.parametrize("aligned, sampling, size", [(True, 2, (7, 7)), (False, 1, (3, 2)), (True, 2, (9, 8))])
def test_roi_align_forward_and_backward(
    dtype: torch.dtype, error: float, aligned: bool, sampling: int, size: tuple[int, int]
) -> None:
    channels, regions = (256, 300) if CUDA else (16, 5)
    got = pool_and_back(True, dtype, DEVICE, channels, regions, aligned, sampling, size)
    wanted = pool_and_back(False, torch.float64, "cpu", channels, regions, aligned, sampling, size)
    assert len(got) == 3
    for mine, theirs in zip(got, wanted, strict=True):
        assert mine.dtype == dtype
        difference = mine.cpu().double() - theirs
        assert difference.norm() < error * theirs.norm()


@needs_cuda
@pytest.mark.parametrize("channels", [16, 24, 320])
def test_roi_align_of_other_numbers_of_channels(channels: int) -> None:
    got = pool_and_back(True, torch.float32, DEVICE, channels, 40, True, 2, (7, 7))
    wanted = pool_and_back(False, torch.float64, "cpu", channels, 40, True, 2, (7, 7))
    for mine, theirs in zip(got, wanted, strict=True):
        assert (mine.cpu().double() - theirs).norm() < 2e-6 * theirs.norm()


@needs_cuda
def test_roi_align_backward_gives_the_same_bits_each_time() -> None:
    first, second = (pool_and_back(True, torch.bfloat16, DEVICE, 256, 2000, True, 2, (7, 7)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@needs_cuda
def test_float64_keeps_to_torch_and_agrees_with_the_cpu() -> None:
    got = pool_and_back(False, torch.float64, DEVICE, 16, 40, True, 2, (7, 7))
    wanted = pool_and_back(False, torch.float64, "cpu", 16, 40, True, 2, (7, 7))
    for mine, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(mine.cpu(), theirs)
