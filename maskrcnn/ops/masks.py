"""Mask targets: ground-truth masks re-cropped from their own box to another."""

import torch
from torch import Tensor


def _resampling(
    start: Tensor, extent: Tensor, first: Tensor, length: Tensor, bins: int, cells: int, sampling: int
) -> Tensor:
    """Matrix [N, bins, cells] of the mean of `sampling` linear samples in each bin, along one axis."""
    steps = (torch.arange(bins * sampling, device=start.device, dtype=start.dtype) + 0.5) / (bins * sampling)
    position = start[:, None] + steps * extent[:, None]
    in_cells = (position - first[:, None]) / length[:, None] * cells - 0.5
    cell = torch.arange(cells, device=start.device, dtype=start.dtype)
    weight = (1 - (in_cells[:, :, None] - cell).abs()).clamp(min=0)
    return weight.unflatten(1, (bins, sampling)).mean(dim=2)


def crop_masks(masks: Tensor, boxes: Tensor, regions: Tensor, size: int, sampling: int) -> Tensor:
    """Cuts masks that lie in the frames of their boxes to other regions, as RoIAlign would cut full-size bitmaps.

    Both axes are linear, so that a crop is `rows @ mask @ columns` with two small matrices: no full-size mask.

    Args:
        masks: [N, m, m] float coverage 0..1 in the frame of `boxes`; outside its box a mask is 0.
        boxes, regions: [N, 4] of positive size, in the same pixels.
        size: side of the result; sampling: samples along each axis of a result's cell.

    Returns:
        [N, size, size] float in 0..1.
    """
    cells = masks.shape[-1]
    extent = regions[:, 2:] - regions[:, :2]
    length = boxes[:, 2:] - boxes[:, :2]
    rows = _resampling(regions[:, 1], extent[:, 1], boxes[:, 1], length[:, 1], size, cells, sampling)
    columns = _resampling(regions[:, 0], extent[:, 0], boxes[:, 0], length[:, 0], size, cells, sampling)
    return rows @ masks @ columns.transpose(1, 2)
