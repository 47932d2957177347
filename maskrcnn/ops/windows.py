"""The cells around single cells of a feature pyramid, for what looks at few of them."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cell_windows(features: tuple[Tensor, ...], cells: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Cuts out squares of cells, each around one of its level. The backward is deterministic on a CPU.

    Args:
        features: [B, C, H_l, W_l] of each level.
        cells: [B, S] int64, cells of each image, counted level by level and row by row.
        radius: cells on each side of the one in the middle.

    Returns:
        [B, S, side, side, C] with side = 2 * radius + 1, 0 beyond the border of the level, as a padded convolution
        reads it; and [B, S, side, side, 1] bool, within the border.
    """
    image = torch.arange(cells.shape[0], device=cells.device)[:, None, None, None]
    steps = torch.arange(-radius, radius + 1, device=cells.device)
    inside = torch.zeros((), dtype=torch.bool, device=cells.device)
    windows = features[0].new_zeros(())
    start = 0
    for level in features:
        height, width = level.shape[2:]
        cell = (cells - start)[..., None, None]
        y = torch.div(cell, width, rounding_mode="floor") + steps[:, None]
        x = cell % width + steps
        here = (cell >= 0) & (cell < height * width) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        row = (image * height + y.clamp(0, height - 1)) * width + x.clamp(0, width - 1)
        # `embedding`, as the backward of indexing adds up by atomic operations of several threads, in any order.
        found = F.embedding(row, level.permute(0, 2, 3, 1).flatten(0, 2))
        windows = torch.where(here[..., None], found, windows)
        inside = inside | here[..., None]
        start += height * width
    return windows, inside


def convolve(windows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution without padding of windows [N, side, side, C]: [N, side - 2, side - 2, C'].

    Args:
        weight: [C', C, 3, 3]; bias: [C'].
    """
    if windows.shape[1] == 3:  # as a product: a convolution of 512 windows of 256 channels took nine times as long
        return F.linear(windows.flatten(1), weight.permute(0, 2, 3, 1).flatten(1), bias)[:, None, None]
    return F.conv2d(windows.permute(0, 3, 1, 2), weight, bias).permute(0, 2, 3, 1)
