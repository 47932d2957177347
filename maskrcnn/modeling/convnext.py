"""ConvNeXt (arXiv 2201.03545), with the keys of its authors' files."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.modeling.layers import freeze_parts


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of maps [B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A 7x7 convolution of each channel by itself, a norm, and two layers on each cell, four times as wide between."""

    def __init__(self, width: int, layer_scale: float, norm_eps: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, norm_eps)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        cells = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        cells = self.gamma * self.pwconv2(F.gelu(self.pwconv1(cells)))
        return x + cells.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """The backbone: feature maps C2..C5 at strides 4, 8, 16, 32, each normalised, as its authors do for detection.

    Without their stochastic depth: all randomness of training is in the sampling and the data here.

    Args:
        image_channels: of the pictures; wired by the model.
        depths: blocks in each of the four stages; [3, 3, 9, 3] in ConvNeXt-T.
        widths: channels of each stage; [96, 192, 384, 768] in ConvNeXt-T.
        layer_scale: what each block's branch is multiplied by at first, a learnt number for each channel.
        norm_eps: epsilon of the normalisation.
        frozen_stages: how many parts from the input on are not trained: 1 the stem, 2 the stem and C2, ... 5 all.

    Raises:
        ValueError: the number of stages is not four, or frozen_stages is not in 0..5.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        image_channels: int,
        *,
        depths: list[int],
        widths: list[int],
        layer_scale: float,
        norm_eps: float,
        frozen_stages: int,
    ) -> None:
        super().__init__()
        for name, values in (("depths", depths), ("widths", widths)):
            if len(values) != 4:
                raise ValueError(f"model.backbone.{name} is {values}; give four numbers, one for each stage")
        stem = nn.Sequential(nn.Conv2d(image_channels, widths[0], 4, stride=4), ChannelNorm(widths[0], norm_eps))
        halve = [
            nn.Sequential(ChannelNorm(inputs, norm_eps), nn.Conv2d(inputs, outputs, 2, stride=2))
            for inputs, outputs in zip(widths, widths[1:])
        ]
        self.downsample_layers = nn.ModuleList([stem, *halve])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, layer_scale, norm_eps) for _ in range(depth)))
            for depth, width in zip(depths, widths)
        )
        for level, width in enumerate(widths):
            self.add_module(f"norm{level}", ChannelNorm(width, norm_eps))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        self.channels = tuple(widths)
        freeze_parts([[self.downsample_layers[0]], *([level] for level in self._levels())], frozen_stages)

    def layers(self) -> list[nn.Module]:
        """The stem, stages and, of the third stage, groups of three blocks, from the input on: what layer-wise
        learning rates count, as its authors do.
        """
        third = self.stages[2]
        assert isinstance(third, nn.Sequential)
        groups = [third[i : i + 3] for i in range(0, len(third), 3)]
        c2, c3, c4, c5 = self._levels()
        first = nn.ModuleList([part for part in c4 if part is not third] + groups[:1])
        return [self.downsample_layers[0], c2, c3, first, *groups[1:], c5]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps normalised images [B, C, H, W] to C2..C5, [B, channels, H / stride, W / stride] each."""
        x, features = images, []
        for level, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages)):
            x = stage(downsample(x))
            features.append(self.get_submodule(f"norm{level}")(x))
        return tuple(features)

    def _levels(self) -> list[nn.ModuleList]:
        """What comes for each of C2..C5, without the stem."""
        parts = zip([None, *list(self.downsample_layers)[1:]], self.stages, range(4))
        return [
            nn.ModuleList([*([] if halve is None else [halve]), stage, self.get_submodule(f"norm{level}")])
            for halve, stage, level in parts
        ]
