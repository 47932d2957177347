"""Layers that several parts share: normalisation by name, and convolutions with their initialisation."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.compiler import is_compiling

from maskrcnn.ops.kernels import triton_serves

NormName = Literal["frozen", "batch", "group"]


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics and affine are constants, as for fine-tuning with few images a device.

    Same keys as `nn.BatchNorm2d`, so that its weights load.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def constants(self) -> tuple[Tensor, Tensor]:
        """Scale and shift [C] of each channel."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.constants()
        # One pass over memory; a product and then a sum would take two, and one more backward.
        return torch.addcmul(shift.view(-1, 1, 1).to(x.dtype), x, scale.view(-1, 1, 1).to(x.dtype))


# Numbers from which on the kernel serves: for less, its start from Python may cost more than it saves (an estimate).
LARGE = 2**24


def norm_relu(norm: nn.Module, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """ReLU of a convolution's output [B, C, H, W] after its norm, with a shortcut added if there is one."""
    if isinstance(norm, FrozenBatchNorm2d) and not is_compiling() and x.numel() >= LARGE and triton_serves(x):
        from maskrcnn.ops.norm_triton import ScaleShiftReLU

        out: Tensor = ScaleShiftReLU.apply(x, *norm.constants(), shortcut)
        return out
    x = norm(x)
    return F.relu(x if shortcut is None else x.add_(shortcut), inplace=True)


def conv_norm(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """`norm(conv(x))`. On a CPU the constants of a frozen norm go into the convolution's weights: the same up to
    rounding, one pass over the activations less forward and backward; not where a hook wants to see the norm's input.
    """
    frozen = isinstance(norm, FrozenBatchNorm2d) and x.device.type == "cpu" and not norm._forward_pre_hooks
    if not (frozen and isinstance(conv, nn.Conv2d) and conv.bias is None):
        result: Tensor = norm(conv(x))
        return result
    assert isinstance(norm, FrozenBatchNorm2d) and not isinstance(conv.padding, str)
    scale, shift = norm.constants()
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    return F.conv2d(x, weight, shift, conv.stride, conv.padding, conv.dilation, conv.groups)


def conv_norm_relu(conv: nn.Module, norm: nn.Module, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """ReLU of `norm(conv(x))`, with a shortcut added if there is one."""
    if x.device.type != "cpu":
        return norm_relu(norm, conv(x), shortcut)
    x = conv_norm(conv, norm, x)
    # In place: no backward needs what a convolution or norm puts out, and a sum in new memory took three times as long.
    return F.relu(x if shortcut is None else x.add_(shortcut), inplace=True)


def freeze_parts(parts: Sequence[Sequence[nn.Module]], stages: int) -> None:
    """Stops the gradient of a backbone's first parts: 1 the stem, 2 also C2, and so on to 5.

    Args:
        parts: the modules of stem, C2, C3, C4 and C5.

    Raises:
        ValueError: stages is not in 0..5.
    """
    if not 0 <= stages <= len(parts):
        raise ValueError(f"model.backbone.frozen_stages is {stages}; it counts stem, C2, C3, C4, C5, so 0 to 5")
    for part in parts[:stages]:
        for module in part:
            module.requires_grad_(False)


def make_norm(name: NormName, eps: float) -> Callable[[int], nn.Module]:
    """A constructor of normalisation layers from their number of channels.

    Raises:
        ValueError: the name is none of frozen, batch, group.
    """
    if name == "frozen":
        return lambda channels: FrozenBatchNorm2d(channels, eps)
    if name == "batch":
        return lambda channels: nn.BatchNorm2d(channels, eps=eps)
    if name == "group":  # 32 groups (arXiv 1803.08494), fewer where a small model has fewer channels.
        return lambda channels: nn.GroupNorm(min(32, channels // 4), channels, eps=eps)
    raise ValueError(f"norm is {name!r}; choose frozen, batch or group")


def conv_block(in_channels: int, out_channels: int, norm: Callable[[int], nn.Module] | None) -> nn.Sequential:
    """3x3 convolution, normalisation if any, ReLU; He initialisation (arXiv 1502.01852)."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=norm is None)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    layers: list[nn.Module] = [conv]
    if norm is not None:
        layers.append(norm(out_channels))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def normal_init(layer: nn.Linear | nn.Conv2d, std: float) -> None:
    """Normal weights of the given standard deviation, zero bias: how the predictors of Faster R-CNN start."""
    nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
