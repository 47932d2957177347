"""Regions to grids of features: which pyramid level a region reads, and RoIAlign on it."""

import torch
from torch import Tensor, nn

from maskrcnn.ops.boxes import box_area
from maskrcnn.ops.roi_align import FeatureTable, SamplingGrid, feature_table, of_level, roi_align, sampling_grid


class RoIPooler(nn.Module):
    """RoIAlign (arXiv 1703.06870, section 3) on the level that fits a region's size (arXiv 1612.03144, equation 1).

    Args:
        strides: of the levels that regions pool from, wired from the neck; each twice the one before.
        sampling: bilinear samples along each axis of a bin; 0 adapts to the region (eager mode only).
        aligned: True for Detectron2's half-pixel-exact sampling, False for torchvision's.
        canonical_size: side in pixels of a region that reads the level of stride `canonical_stride` (224 and 16 in
            the paper); one half as large reads one level finer.
        canonical_stride: see there.
    """

    def __init__(
        self, strides: tuple[int, ...], *, sampling: int, aligned: bool, canonical_size: float, canonical_stride: int
    ) -> None:
        super().__init__()
        self.strides = strides
        self.sampling, self.aligned = sampling, aligned
        self.canonical_size, self.canonical_stride = canonical_size, canonical_stride

    def table(self, features: tuple[Tensor, ...]) -> FeatureTable:
        """The levels that regions pool from, as one table, to be made once a step."""
        return feature_table(features[: len(self.strides)], self.strides)

    def levels(self, boxes: Tensor) -> Tensor:
        """Index [...] of the level for each box [..., 4]."""
        relative = box_area(boxes).sqrt() * (self.canonical_stride / self.canonical_size / self.strides[0])
        # 1e-6 before the floor, as torchvision: a region of exactly the canonical size belongs to the coarser level.
        level = torch.floor(torch.log2(relative) + 1e-6)
        return level.clamp(0, len(self.strides) - 1).to(torch.int64)

    def forward(self, table: FeatureTable, images: Tensor, boxes: Tensor, size: int) -> Tensor:
        """Pools boxes [N, 4] of the images [N] to [N, C, size, size]."""
        return roi_align(table, images, boxes, self.levels(boxes), (size, size), self.sampling, self.aligned)

    def grid(self, boxes: Tensor, size: int) -> SamplingGrid:
        """Where `forward` reads boxes [N, 4]."""
        strides = of_level(list(self.strides), self.levels(boxes))
        return sampling_grid(boxes, strides, (size, size), self.sampling, self.aligned)
