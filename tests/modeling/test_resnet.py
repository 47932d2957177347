import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskrcnn.modeling.layers import FrozenBatchNorm2d, conv_norm
from maskrcnn.modeling.resnet import ResNet

OPTIONS = dict(
    block="basic",
    layers=[0, 1, 1, 1],
    width=8,
    groups=1,
    width_per_group=64,
    stride_in_1x1=False,
    norm="batch",
    norm_eps=1e-5,
)


def test_the_stem_of_two_3x3_convolutions_halves_the_picture_twice() -> None:
    torch.manual_seed(0)
    model = ResNet(3, stem="conv3x2", frozen_stages=0, **OPTIONS).eval()  # type: ignore[arg-type]
    images = torch.randn(1, 3, 32, 64)
    first, second = model.get_parameter("conv1.0.weight"), model.get_parameter("conv1.3.weight")
    assert first.shape == (4, 3, 3, 3) and second.shape == (8, 4, 3, 3)
    unit = (1 + 1e-5) ** -0.5  # a fresh batch norm in evaluation
    halved = (F.conv2d(images, first, stride=2, padding=1) * unit).relu()
    wanted = (F.conv2d(halved, second, stride=2, padding=1) * unit).relu()
    features = model(images)
    torch.testing.assert_close(features[0], wanted)  # a stage of no blocks passes it on
    assert [f.shape[1:] for f in features] == [(8, 8, 16), (16, 4, 8), (32, 2, 4), (64, 1, 2)]


def test_freezing_stops_the_gradient_of_the_first_parts_only() -> None:
    model = ResNet(3, stem="conv3x2", frozen_stages=3, **OPTIONS)  # type: ignore[arg-type]
    frozen = {name.split(".")[0] for name, parameter in model.named_parameters() if not parameter.requires_grad}
    trained = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert frozen == {"conv1", "bn1", "layer2"} and trained == {"layer3", "layer4"}
    with pytest.raises(ValueError, match="frozen_stages is 6; it counts stem, C2, C3, C4, C5, so 0 to 5"):
        ResNet(3, stem="conv3x2", frozen_stages=6, **OPTIONS)  # type: ignore[arg-type]


def test_a_frozen_norm_within_the_convolution_is_the_same() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(5, 12, 3, stride=2, padding=1, bias=False).double(), FrozenBatchNorm2d(12, 1e-5).double()
    for buffer in norm.buffers():
        buffer.uniform_(0.5, 2)
    x = torch.randn(2, 5, 9, 11, dtype=torch.float64, requires_grad=True)
    results = []
    for y in (norm(conv(x)), conv_norm(conv, norm, x)):
        results.append((y, *torch.autograd.grad(y.square().sum(), (x, conv.weight))))
    for apart, folded in zip(*results):
        torch.testing.assert_close(folded, apart)
