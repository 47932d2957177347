"""RoIAlign over a whole feature pyramid as one gather-and-sum (arXiv 1703.06870, section 3).

All levels lie in one table of rows; each output bin is a bag of 4 x sampling^2 rows with bilinear weights, summed by
`embedding_bag`. The taps are never materialised, and the backward is deterministic. On a GPU a Triton kernel does the
same (maskrcnn/ops/roi_align_triton.py).
"""

from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ops.boxes import constant
from maskrcnn.ops.kernels import triton_serves


class FeatureTable(NamedTuple):
    """A feature pyramid as one table: level after level, image after image, row after row."""

    rows: Tensor  # [sum over levels of B * H * W, C]
    sizes: tuple[tuple[int, int], ...]  # (H, W) of each level
    strides: tuple[int, ...]  # pixels of the canvas that a cell of each level covers
    images: int  # B


def feature_table(features: tuple[Tensor, ...], strides: tuple[int, ...]) -> FeatureTable:
    """Lays feature maps [B, C, H, W], one a level, into one table."""
    rows = torch.cat([level.permute(0, 2, 3, 1).flatten(0, 2) for level in features])
    sizes = tuple((level.shape[2], level.shape[3]) for level in features)
    return FeatureTable(rows, sizes, strides, features[0].shape[0])


class SamplingGrid(NamedTuple):
    """Where RoIAlign reads N regions: the samples of bin (i, j) are all pairs of one of y[i] and one of x[j].

    Positions are in cells of the level that the region reads; the centre of cell (r, c) is at y = r, x = c.
    """

    y: Tensor  # [N, height, samples]
    x: Tensor  # [N, width, samples]
    y_samples: Tensor  # [N] float, how many of the samples count; all, unless their number adapts to the region
    x_samples: Tensor


def _axis_positions(start: Tensor, extent: Tensor, bins: int, sampling: int) -> tuple[Tensor, Tensor]:
    """Samples along one axis: position [N, bins, samples] in cells, and [N] how many of each bin count."""
    bin_size = extent / bins
    if sampling > 0:
        counts, most = torch.full_like(start, sampling), sampling
    else:  # Adaptive: one sample a cell. Only eagerly, for parity: the number of samples depends on the data.
        counts = bin_size.ceil().clamp(min=0)
        most = max(int(counts.max().item()), 1)
    sample = torch.arange(most, device=start.device, dtype=start.dtype)
    offset = (sample + 0.5) / counts.clamp(min=1)[:, None] * bin_size[:, None]  # [N, samples]
    bin_start = start[:, None] + torch.arange(bins, device=start.device, dtype=start.dtype) * bin_size[:, None]
    return bin_start[:, :, None] + offset[:, None, :], counts


def _frames(boxes: Tensor, strides: Tensor, aligned: bool) -> tuple[Tensor, Tensor]:
    """Start and extent [N, 2] (x, y), in cells, of what is sampled of boxes [N, 4] on levels of the strides [N]."""
    scaled = boxes / strides[:, None].to(boxes.dtype) - (0.5 if aligned else 0.0)
    extent = scaled[:, 2:] - scaled[:, :2]
    return scaled[:, :2], extent if aligned else extent.clamp(min=1.0)


def sampling_grid(boxes: Tensor, strides: Tensor, size: tuple[int, int], sampling: int, aligned: bool) -> SamplingGrid:
    """The positions at which `roi_align` reads boxes [N, 4] on levels of the strides [N]; see there."""
    start, extent = _frames(boxes, strides, aligned)
    y, y_samples = _axis_positions(start[:, 1], extent[:, 1], size[0], sampling)
    x, x_samples = _axis_positions(start[:, 0], extent[:, 0], size[1], sampling)
    return SamplingGrid(y, x, y_samples, x_samples)


def of_level(values: list[int], levels: Tensor) -> Tensor:
    """`values[levels]` without a tensor made of a list, for whose copy from the host a GPU waits."""
    chosen = torch.full_like(levels, values[0])
    for level, value in enumerate(values[1:], start=1):
        chosen = torch.where(levels == level, value, chosen)
    return chosen


def _axis_taps(position: Tensor, counts: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Taps along one axis: index [N, bins, 2 * samples] int64 and weight likewise, the mean over a bin's samples."""
    sample = torch.arange(position.shape[-1], device=position.device, dtype=position.dtype)
    share = counts.clamp(min=1)[:, None]  # A region without extent has no adaptive sample and pools to 0.
    last = (limit - 1)[:, None, None]
    weight = ((position >= -1) & (position <= limit[:, None, None])) / share[:, None]
    weight = torch.where((sample < counts[:, None])[:, None, :], weight, 0)
    position = torch.minimum(position.clamp(min=0), last)
    low = position.floor()
    fraction = position - low
    index = torch.stack((low, torch.minimum(low + 1, last)), dim=-1).flatten(-2)
    weights = torch.stack((weight * (1 - fraction), weight * fraction), dim=-1).flatten(-2)
    return index.to(torch.int64), weights


def roi_align(
    table: FeatureTable,
    images: Tensor,
    boxes: Tensor,
    levels: Tensor,
    size: tuple[int, int],
    sampling: int,
    aligned: bool,
) -> Tensor:
    """Pools each region into a grid by averaging bilinear samples; regions get gradients only through the features.

    Args:
        table: the features.
        images: [N] int64, the image of each region; levels: [N] int64, the level to read.
        boxes: [N, 4] in pixels of the canvas.
        size: bins of the output as (height, width).
        sampling: samples along each axis of a bin; 0 means one a feature cell (data-dependent, eager only).
        aligned: True puts the centre of the first cell at 0.5 cells (Detectron2), False at 0 with regions of at least
            one cell (torchvision's default, Detectron).

    Returns:
        [N, C, height, width]. Same values as torchvision.ops.roi_align.
    """
    height, width = size
    dtype = table.rows.dtype if table.rows.dtype == torch.float64 else torch.float32
    starts = [0, *accumulate(table.images * h * w for h, w in table.sizes)]
    rows = of_level([h for h, _ in table.sizes], levels)
    columns = of_level([w for _, w in table.sizes], levels)
    first = of_level(starts[:-1], levels) + images * rows * columns
    stride = of_level(list(table.strides), levels)
    if triton_serves(table.rows) and sampling > 0:
        from maskrcnn.ops import roi_align_triton

        start, extent = _frames(boxes.to(dtype), stride, aligned)
        pooled = roi_align_triton.roi_align(
            table.rows,
            torch.stack((first, rows, columns), dim=1),
            torch.cat((start.flip(1), extent.flip(1) / constant(size, extent)), dim=1),
            images * len(table.sizes) + levels,
            [side for shape in table.sizes for side in shape],
            table.images,
            height,
            width,
            sampling,
        )
        return pooled.permute(0, 3, 1, 2)
    grid = sampling_grid(boxes.to(dtype), stride, size, sampling, aligned)
    y, y_weight = _axis_taps(grid.y, grid.y_samples, rows.to(dtype))
    x, x_weight = _axis_taps(grid.x, grid.x_samples, columns.to(dtype))
    row_start = first[:, None, None] + y * columns[:, None, None]
    # [N, height, 1, taps, 1] with [N, 1, width, 1, taps]
    index = row_start[:, :, None, :, None] + x[:, None, :, None, :]
    weight = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
    taps = index.shape[-2] * index.shape[-1]
    pooled = F.embedding_bag(
        index.reshape(-1, taps),
        table.rows,
        mode="sum",
        per_sample_weights=weight.reshape(-1, taps).to(table.rows.dtype),
    )
    return pooled.view(boxes.shape[0], height, width, -1).permute(0, 3, 1, 2)
