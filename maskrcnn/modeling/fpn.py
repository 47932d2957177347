"""Feature pyramid network (arXiv 1612.03144)."""

import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.modeling.layers import NormName, make_norm


class FPN(nn.Module):
    """The neck: P2..P5 from C2..C5 by lateral 1x1 convolutions and a top-down path, and P6 for the RPN.

    Args:
        in_channels, in_strides: of the backbone's feature maps.
        channels: of every output level.
        norm: normalisation after each convolution, null for none (the paper's).
        norm_eps: its epsilon.
        extra_level: append P6, a subsampled P5, that only the RPN reads (the paper's footnote 1).

    `strides` and `channels` describe the outputs; the first `len(roi_strides)` levels are those that regions pool from.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        in_strides: tuple[int, ...],
        *,
        channels: int,
        norm: NormName | None,
        norm_eps: float,
        extra_level: bool,
    ) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"model.neck.channels is {channels}; give 1 or more")
        make = None if norm is None else make_norm(norm, norm_eps)

        def conv(inputs: int, kernel: int) -> nn.Sequential:
            layer = nn.Conv2d(inputs, channels, kernel, padding=kernel // 2, bias=make is None)
            nn.init.kaiming_uniform_(layer.weight, a=1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            return nn.Sequential(layer) if make is None else nn.Sequential(layer, make(channels))

        self.lateral = nn.ModuleList(conv(inputs, 1) for inputs in in_channels)
        self.output = nn.ModuleList(conv(channels, 3) for _ in in_channels)
        self.channels = channels
        self.roi_strides = tuple(in_strides)
        self.strides = self.roi_strides + ((in_strides[-1] * 2,) if extra_level else ())
        self.extra_level = extra_level

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps C2..C5 to P2..P5 (and P6): [B, channels, H / stride, W / stride] each."""
        top = self.lateral[-1](features[-1])
        outputs = [self.output[-1](top)]
        for i in range(len(features) - 2, -1, -1):
            lateral = self.lateral[i](features[i])
            top = lateral.add_(F.interpolate(top, size=lateral.shape[-2:], mode="nearest"))
            outputs.insert(0, self.output[i](top))
        if self.extra_level:
            outputs.append(F.max_pool2d(outputs[-1], kernel_size=1, stride=2))
        return tuple(outputs)
