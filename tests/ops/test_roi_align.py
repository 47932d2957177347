import itertools
import math

import pytest
import torch
from torch import Tensor

from maskrcnn.modeling.pooler import RoIPooler
from maskrcnn.ops.roi_align import feature_table, roi_align, sampling_grid


def pool(
    features: Tensor, rois: Tensor, size: tuple[int, int], sampling: int, aligned: bool, stride: int = 16
) -> Tensor:
    table = feature_table((features,), (stride,))
    images = rois[:, 0].to(torch.int64)
    return roi_align(table, images, rois[:, 1:], torch.zeros_like(images), size, sampling, aligned)


def naive(features: Tensor, roi: Tensor, size: tuple[int, int], sampling: int, aligned: bool, stride: int) -> Tensor:
    """One region by the definition: the mean of bilinear samples, read one by one."""
    channels, height, width = features.shape
    x1, y1, x2, y2 = (v / stride - (0.5 if aligned else 0) for v in roi.tolist())
    w, h = x2 - x1, y2 - y1
    if not aligned:
        w, h = max(w, 1.0), max(h, 1.0)
    out = torch.zeros(channels, *size, dtype=features.dtype)
    ny = sampling or math.ceil(h / size[0])
    nx = sampling or math.ceil(w / size[1])
    for i, j, a, b in itertools.product(range(size[0]), range(size[1]), range(ny), range(nx)):
        y = y1 + (i + (a + 0.5) / ny) * h / size[0]
        x = x1 + (j + (b + 0.5) / nx) * w / size[1]
        if y < -1 or y > height or x < -1 or x > width:
            continue
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        top, left = int(y), int(x)
        for r, wr in ((top, 1 - (y - top)), (min(top + 1, height - 1), y - top)):
            for c, wc in ((left, 1 - (x - left)), (min(left + 1, width - 1), x - left)):
                out[:, i, j] += features[:, r, c] * (wr * wc / (ny * nx))
    return out


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [(7, 7), (3, 5)])
def test_values_and_gradients_match_torchvision(
    golden: dict[str, Tensor], size: tuple[int, int], sampling: int, aligned: bool
) -> None:
    name = f"roi_aligned{int(aligned)}_sampling{sampling}_out{size[0]}x{size[1]}"
    features = golden["roi_features"].clone().requires_grad_()
    out = pool(features, golden["roi_rois"], size, sampling, aligned)
    torch.testing.assert_close(out, golden[name], rtol=1e-4, atol=2e-5)
    out.backward(torch.arange(out.numel(), dtype=torch.float32).sin().view_as(out))
    torch.testing.assert_close(features.grad, golden[f"{name}_grad"], rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 2])
def test_equals_the_definition_in_float64(sampling: int, aligned: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 3, 9, 11, generator=generator, dtype=torch.float64)
    rois = torch.tensor([[0, -20.0, 3, 60, 50], [1, 4, 4, 5, 5], [1, 30, 20, 200, 180], [0, 10, 10, 10, 10]]).double()
    out = pool(features, rois, (3, 4), sampling, aligned, stride=8)
    for got, roi in zip(out, rois):
        torch.testing.assert_close(got, naive(features[int(roi[0])], roi[1:], (3, 4), sampling, aligned, 8))


def test_gradcheck() -> None:
    features = torch.randn(
        1, 2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True
    )
    rois = torch.tensor([[0, 1.0, 2, 17, 30], [0, -4, 0, 50, 9]]).double()
    assert torch.autograd.gradcheck(lambda f: pool(f, rois, (2, 3), 2, True, stride=8), features)


def test_by_eye() -> None:
    # A 5x5 grid of 0..24 read at stride 1. The box from 1 to 3 has the centres of cells (1,1), (1,2), (2,1), (2,2)
    # in the middle of its four bins: values 6, 7, 11, 12.
    grid = torch.arange(25.0).view(1, 1, 5, 5)
    out = pool(grid, torch.tensor([[0.0, 1, 1, 3, 3]]), (2, 2), 1, True, stride=1)
    assert out.flatten().tolist() == [6, 7, 11, 12]
    # One sample at y = 5, the end of what is read as the last row, and one beyond it.
    ends = torch.tensor([[0.0, 1, 4, 3, 6], [0, 1, 4.5, 3, 6.5]])
    assert pool(grid, ends, (1, 1), 1, False, stride=1).flatten().tolist() == [22, 0]


def test_pyramid_levels_match_torchvision(golden: dict[str, Tensor]) -> None:
    strides = (4, 8, 16, 32)
    pooler = RoIPooler(strides, sampling=2, aligned=False, canonical_size=224, canonical_stride=16)
    table = pooler.table(tuple(golden[f"ms_feat{i}"] for i in range(4)))
    images = torch.tensor([0] * 20 + [1] * 20)
    torch.testing.assert_close(pooler(table, images, golden["ms_boxes"], 7), golden["ms_out"], rtol=1e-4, atol=2e-5)


def test_a_region_of_just_a_levels_size_reads_that_level() -> None:
    sides = torch.tensor([1.0, 55.99, 56, 111.99, 112, 223.99, 223.9999, 224, 447.99, 448, 5000])
    boxes = torch.stack((sides, sides, 2 * sides, 2 * sides), dim=1)
    for strides, levels in [
        ((4, 8, 16, 32), [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3]),
        ((8, 16), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
    ]:
        pooler = RoIPooler(strides, sampling=2, aligned=True, canonical_size=224, canonical_stride=16)
        assert pooler.levels(boxes).tolist() == levels


def test_backward_gives_the_same_bits_each_time() -> None:
    features = torch.randn(1, 8, 20, 20, generator=torch.Generator().manual_seed(3))
    rois = torch.rand(200, 4, generator=torch.Generator().manual_seed(4)) * 100
    rois = torch.cat((torch.zeros(200, 1), rois[:, :2], rois[:, :2] + rois[:, 2:]), dim=1)
    gradients = []
    for _ in range(3):
        leaf = features.clone().requires_grad_()
        pool(leaf, rois, (7, 7), 2, True, stride=8).square().sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("sampling", [0, 2])
@pytest.mark.parametrize("aligned", [False, True])
def test_pooling_is_the_mean_over_the_sampling_grid(sampling: int, aligned: bool) -> None:
    # Features that are their own row and column, so that a bilinear sample inside the map is its position.
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    features = torch.stack((rows, columns))[None].double()
    boxes = torch.tensor([[17.0, 20, 90, 66], [40, 30, 44, 33]]).double()
    pooled = pool(features, torch.cat((torch.zeros(2, 1), boxes), dim=1).double(), (3, 4), sampling, aligned, stride=4)
    grid = sampling_grid(boxes, torch.tensor([4, 4]), (3, 4), sampling, aligned)
    for region in range(2):
        counts = int(grid.y_samples[region]), int(grid.x_samples[region])
        y = grid.y[region, :, : counts[0]].mean(dim=-1)
        x = grid.x[region, :, : counts[1]].mean(dim=-1)
        torch.testing.assert_close(pooled[region, 0], y[:, None].expand(3, 4))
        torch.testing.assert_close(pooled[region, 1], x[None, :].expand(3, 4))


def test_sampling_grid_by_eye() -> None:
    # A box from 8 to 24 on stride 4 covers cells 2 to 6, whose first centre is at 2: its edge lies half a cell before.
    grid = sampling_grid(torch.tensor([[8.0, 8, 24, 16]]), torch.tensor([4]), (1, 2), 2, aligned=True)
    assert grid.x.tolist() == [[[2.0, 3.0], [4.0, 5.0]]]
    assert grid.y.tolist() == [[[2.0, 3.0]]]
