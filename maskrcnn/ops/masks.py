"""Mask targets: ground-truth masks re-cropped from their own box to another."""

import torch
from torch import Tensor


def _resampling(
    start: Tensor, extent: Tensor, first: Tensor, length: Tensor, used: Tensor, bins: int, cells: int, sampling: int
) -> Tensor:
    """Matrix [N, bins, cells] of the mean of `sampling` linear samples in each bin, along one axis.

    Of the cells, the first `used` [N] fill the box. Towards its ends the value is that of the outermost cell; outside
    it falls to 0 within half the width that a cell has if all are used.
    """
    steps = (torch.arange(bins * sampling, device=start.device, dtype=start.dtype) + 0.5) / (bins * sampling)
    position = start[:, None] + steps * extent[:, None]
    in_box = (position - first[:, None]) / length[:, None]
    inside = (torch.minimum(in_box, 1 - in_box) * cells + 0.5).clamp(0, 1)
    in_cells = torch.minimum((in_box * used[:, None] - 0.5).clamp(min=0), used[:, None] - 1)
    cell = torch.arange(cells, device=start.device, dtype=start.dtype)
    weight = (1 - (in_cells[:, :, None] - cell).abs()).clamp(min=0) * inside[:, :, None]
    return weight.unflatten(1, (bins, sampling)).mean(dim=2)


def crop_masks(masks: Tensor, used: Tensor, boxes: Tensor, regions: Tensor, size: int, sampling: int) -> Tensor:
    """Cuts masks that lie in the frames of their boxes to other regions, as RoIAlign would cut full-size bitmaps.

    Both axes are linear, so that a crop is `rows @ mask @ columns` with two small matrices: no full-size mask.

    Args:
        masks: [N, m, m] float coverage 0..1.
        used: [N, 2] rows and columns of `masks`, from the first on, that fill `boxes`; outside its box a mask is 0.
        boxes, regions: [N, 4] of positive size, in the same pixels.
        size: side of the result; sampling: samples along each axis of a result's cell.

    Returns:
        [N, size, size] float in 0..1.
    """
    cells = masks.shape[-1]
    used = used.to(boxes.dtype)
    extent = regions[:, 2:] - regions[:, :2]
    length = boxes[:, 2:] - boxes[:, :2]
    rows = _resampling(regions[:, 1], extent[:, 1], boxes[:, 1], length[:, 1], used[:, 0], size, cells, sampling)
    columns = _resampling(regions[:, 0], extent[:, 0], boxes[:, 0], length[:, 0], used[:, 1], size, cells, sampling)
    return rows @ masks @ columns.transpose(1, 2)
