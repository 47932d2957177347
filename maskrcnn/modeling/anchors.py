"""Anchors: the reference boxes that the RPN scores and refines (arXiv 1506.01497, section 3.1.1; arXiv 1612.03144)."""

import torch
from torch import Tensor, nn


class Anchors(nn.Module):
    """Boxes of given sizes and shapes around every cell of every level.

    Args:
        strides: of the levels, wired from the neck.
        scales: sides of square anchors in strides of their level; [8] gives 32, 64, ... 512 px on P2..P6.
        ratios: height over width, at equal area.
        rounded: round the anchors of a cell to whole pixels, as torchvision does (Detectron2 does not).
        measured_strides: place anchors at multiples of canvas // cells, as torchvision does; it differs from the
            level's stride where the canvas is no multiple of that: P6 has 58 px instead of 64 on a canvas of 352.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        *,
        scales: list[float],
        ratios: list[float],
        rounded: bool,
        measured_strides: bool,
    ) -> None:
        super().__init__()
        if not scales or not ratios or min(*scales, *ratios) <= 0:
            raise ValueError(f"anchors need scales and ratios above 0; got scales={scales}, ratios={ratios}")
        self.strides, self.measured_strides = strides, measured_strides
        self.per_cell, self.rounded = len(scales) * len(ratios), rounded
        size = torch.tensor([[stride * scale for scale in scales] for stride in strides])[:, None, :]
        height_ratio = torch.tensor(ratios).sqrt()[None, :, None]
        half_width = (size / height_ratio).flatten(1) / 2  # ratio by ratio, within it size by size
        half_height = (size * height_ratio).flatten(1) / 2
        cells = torch.stack((-half_width, -half_height, half_width, half_height), dim=-1)
        self.register_buffer("cells", cells.round() if rounded else cells, persistent=False)

    cells: Tensor  # [levels, per_cell, 4] around the origin

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Anchors [H * W * per_cell, 4] of each level, in pixels of the canvas, ordered by row, column, anchor.

        Centres lie at multiples of the stride: the corner of a cell, as in Detectron2 and torchvision.
        """
        height, width = (side * self.strides[0] for side in features[0].shape[-2:])
        levels = []
        for level, stride, cells in zip(features, self.strides, self.cells):
            rows, columns = level.shape[-2:]
            step_y, step_x = (height // rows, width // columns) if self.measured_strides else (stride, stride)
            y = torch.arange(rows, device=cells.device, dtype=cells.dtype) * step_y
            x = torch.arange(columns, device=cells.device, dtype=cells.dtype) * step_x
            shift_y, shift_x = torch.meshgrid(y, x, indexing="ij")
            shifts = torch.stack((shift_x, shift_y, shift_x, shift_y), dim=-1).reshape(-1, 1, 4)
            levels.append((shifts + cells).reshape(-1, 4))
        return tuple(levels)
