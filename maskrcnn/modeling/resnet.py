"""ResNet and ResNeXt (arXiv 1512.03385, 1611.05431), with torchvision's keys."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from maskrcnn.modeling.layers import NormName, conv_norm, conv_norm_relu, freeze_parts, make_norm

Norm = Callable[[int], nn.Module]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_conv(inputs, outputs, 1, stride), norm(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: ResNet-18 and -34."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, groups: int, width_per_group: int, stride_in_1x1: bool, norm: Norm
    ) -> None:
        super().__init__()
        if groups != 1:
            raise ValueError("groups needs block=bottleneck: a basic block has no grouped convolution")
        if stride_in_1x1:
            raise ValueError("stride_in_1x1 needs block=bottleneck: a basic block has no 1x1 convolution")
        self.conv1, self.bn1 = _conv(inputs, width, 3, stride), norm(width)
        self.conv2, self.bn2 = _conv(width, width, 3), norm(width)
        self.downsample = _shortcut(inputs, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else conv_norm(self.downsample[0], self.downsample[1], x)
        x = conv_norm_relu(self.conv1, self.bn1, x)
        return conv_norm_relu(self.conv2, self.bn2, x, identity)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, of which one of the first two has the stride, and a shortcut: ResNet-50 and deeper, ResNeXt."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, groups: int, width_per_group: int, stride_in_1x1: bool, norm: Norm
    ) -> None:
        super().__init__()
        inner = width * width_per_group // 64 * groups
        outputs = width * self.expansion
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1, self.bn1 = _conv(inputs, inner, 1, first), norm(inner)
        self.conv2, self.bn2 = _conv(inner, inner, 3, second, groups), norm(inner)
        self.conv3, self.bn3 = _conv(inner, outputs, 1), norm(outputs)
        self.downsample = _shortcut(inputs, outputs, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else conv_norm(self.downsample[0], self.downsample[1], x)
        x = conv_norm_relu(self.conv1, self.bn1, x)
        x = conv_norm_relu(self.conv2, self.bn2, x)
        return conv_norm_relu(self.conv3, self.bn3, x, identity)


BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNet(nn.Module):
    """The backbone: feature maps C2..C5 at strides 4, 8, 16, 32.

    Args:
        image_channels: of the pictures; wired by the model.
        block: basic (18, 34) or bottleneck (50, 101, 152, ResNeXt).
        stem: conv7, the paper's 7x7 of stride 2 and max pooling, or conv3x2, two 3x3 of stride 2: less work at full
            resolution, for small models.
        layers: blocks in each of the four stages, e.g. [3, 4, 6, 3] for ResNet-50; 0 passes the stage before on.
        width: channels of the stem and of the first stage before expansion; 64 in the paper.
        groups, width_per_group: of the 3x3 convolutions in bottlenecks; 1 and 64 for ResNet, 32 and 4 for
            ResNeXt-32x4d.
        stride_in_1x1: bottlenecks that halve the map do so in their first 1x1 convolution, as the paper's and the
            weights that were made of them (Detectron2's ResNet-50 and -101, MMDetection's of style caffe), rather than
            in the 3x3, as torchvision's. Weights have the same shapes either way.
        norm: frozen (constants, for pretrained weights), batch, or group.
        norm_eps: epsilon of the normalisation.
        frozen_stages: how many parts from the input on are not trained: 1 the stem, 2 the stem and C2, ... 5 all.

    Raises:
        ValueError: the number of stages is not four, frozen_stages is not in 0..5, or groups or stride_in_1x1 are
            asked of basic blocks.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        image_channels: int,
        *,
        block: Literal["basic", "bottleneck"],
        stem: Literal["conv7", "conv3x2"],
        layers: list[int],
        width: int,
        groups: int,
        width_per_group: int,
        stride_in_1x1: bool,
        norm: NormName,
        norm_eps: float,
        frozen_stages: int,
    ) -> None:
        super().__init__()
        if len(layers) != 4:
            raise ValueError(f"model.backbone.layers is {layers}; give four numbers, of the blocks in each stage")
        make = make_norm(norm, norm_eps)
        kind = BLOCKS[block]
        self.stride_in_1x1 = stride_in_1x1
        self.conv1: nn.Module
        self.maxpool: nn.Module
        if stem == "conv7":
            self.conv1, self.maxpool = _conv(image_channels, width, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)
        else:
            half = [_conv(image_channels, width // 2, 3, stride=2), make(width // 2), nn.ReLU(inplace=True)]
            self.conv1, self.maxpool = nn.Sequential(*half, _conv(width // 2, width, 3, stride=2)), nn.Identity()
        self.bn1 = make(width)
        inputs = width
        for stage, blocks in enumerate(layers):
            stage_width = width * 2**stage
            stage_blocks = []
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                stage_blocks.append(kind(inputs, stage_width, stride, groups, width_per_group, stride_in_1x1, make))
                inputs = stage_width * kind.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*stage_blocks))
        self.channels = tuple(width * 2**stage * kind.expansion for stage in range(4))
        parts = [[self.conv1, self.bn1], *([self.get_submodule(f"layer{i}")] for i in range(1, 5))]
        freeze_parts(parts, frozen_stages)

    def layers(self) -> list[nn.Module]:
        """The stem and then each block, from the input on: the depth that layer-wise learning rates count."""
        blocks = [block for i in range(1, 5) for block in self.get_submodule(f"layer{i}").children()]
        return [nn.ModuleList([self.conv1, self.bn1]), *blocks]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps normalised images [B, C, H, W] to C2..C5, [B, channels, H / stride, W / stride] each."""
        x = self.maxpool(conv_norm_relu(self.conv1, self.bn1, images))
        features = []
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
            features.append(x)
        return tuple(features)
