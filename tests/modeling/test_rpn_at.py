"""What the RPN says of a few anchors, beside what it says of all."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.rpn import RPN, RPNOutput
from maskrcnn.structures import Batch, Loss, Targets

CHANNELS, PER_CELL = 6, 3
SIZES = [(5, 7), (3, 4), (2, 2), (1, 1)]
ALL = PER_CELL * sum(height * width for height, width in SIZES)
NUMBERS: dict[str, Any] = dict(
    positive_iou=0.7, negative_iou=0.3, batch_per_image=8, positive_fraction=0.5, box_loss="smooth_l1",
    smooth_l1_beta=0.1, train_pre_nms=9, train_post_nms=9, test_pre_nms=9, test_post_nms=9, nms_threshold=0.7,
    min_size=0.0,
)  # fmt: skip


def make(kind: type[RPN], convs: int, **more: Any) -> RPN:
    torch.manual_seed(0)
    rpn = kind(CHANNELS, PER_CELL, convs=convs, **NUMBERS, **more).double()
    for parameter in rpn.parameters():  # biases, too: what a padded border holds differs from zeros then
        nn.init.normal_(parameter, std=0.3)
    return rpn


def levels() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(2, CHANNELS, *size, generator=generator, dtype=torch.float64).requires_grad_() for size in SIZES
    )


@pytest.mark.parametrize("convs", [1, 2, 3])
def test_every_anchor_is_told_what_it_is_told_among_all_with_the_same_gradients(convs: int) -> None:
    rpn, anchors = make(RPN, convs), tuple(torch.zeros(PER_CELL * h * w, 4) for h, w in SIZES)
    index = torch.stack((torch.arange(ALL), torch.arange(ALL).flip(0)))
    found = []
    for local in (True, False):
        features = levels()
        output = rpn(features, anchors)
        assert len(output.features) == len(SIZES)
        logits, deltas = rpn.at(output if local else output._replace(features=()), index)
        assert (logits.shape, deltas.shape) == ((2, ALL), (2, ALL, 4))
        loss = (logits.sin() + (deltas * torch.arange(4)).cos().sum(dim=2)).sum()
        found.append((logits, deltas, torch.autograd.grad(loss, [*rpn.parameters(), *features])))
    for one, other in zip(found[0][:2], found[1][:2]):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)  # both are told in float32
    for one, other in zip(found[0][2], found[1][2], strict=True):
        assert other.abs().max() > 0.01
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


class Wide(RPN):
    """With a layer of its own."""

    def __init__(self, channels: int, anchors_per_cell: int, **rest: Any) -> None:
        super().__init__(channels, anchors_per_cell, **rest)
        self.conv = nn.Sequential(nn.Conv2d(channels, channels, 5, padding=2))


class Shifted(RPN):
    """With a word of its own on what ours says."""

    shift: Tensor

    def forward(self, features: tuple[Tensor, ...], anchors: tuple[Tensor, ...]) -> RPNOutput:
        output = super().forward(features, anchors)
        return output._replace(objectness=tuple(level + self.shift for level in output.objectness))


class Halved(RPN):
    """With a loss of its own on less than ours says."""

    def loss(self, output: RPNOutput, targets: Targets, keys: Tensor) -> tuple[Loss, Loss]:
        return super().loss(output._replace(objectness=tuple(level / 2 for level in output.objectness)), targets, keys)


def test_layers_of_ones_own_learn_from_what_they_say_of_all() -> None:
    anchors = tuple(torch.zeros(PER_CELL * h * w, 4) for h, w in SIZES)
    index = torch.arange(0, ALL, 5).expand(2, -1)
    shifted = make(Shifted, 1)
    shifted.shift = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    for rpn in (make(Wide, 1), shifted):
        output = rpn(levels(), anchors)
        logits, _ = rpn.at(output, index)
        assert torch.equal(logits, torch.cat(output.objectness, dim=1).float().gather(1, index))
        assert not output.features
    logits.sum().backward()
    assert shifted.shift.grad == index.numel()


def test_a_loss_of_ones_own_is_of_what_it_hands_to_ours() -> None:
    anchors = tuple(torch.tensor([0.0, 0, 8, 8]).repeat(PER_CELL * h * w, 1) for h, w in SIZES)
    targets = Targets(
        torch.tensor([0.0, 0, 8, 8]).repeat(2, 1, 1), torch.zeros(2, 1, dtype=torch.long), torch.empty(0),
        torch.empty(0), torch.ones(2, 1, dtype=torch.bool),
    )  # fmt: skip
    plain, halved, keys = make(RPN, 1), make(Halved, 1), torch.arange(2)
    with torch.no_grad():
        plain.objectness.weight /= 2
        assert plain.objectness.bias is not None
        plain.objectness.bias /= 2
    wanted, found = (rpn.loss(rpn(levels(), anchors), targets, keys)[0].sum for rpn in (plain, halved))
    torch.testing.assert_close(found, wanted)


class LowRank(nn.Module):
    """A convolution with a change of low rank, which begins as none (LoRA, arXiv 2106.09685)."""

    def __init__(self, base: nn.Conv2d) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Conv2d(base.in_channels, 2, base.kernel_size, padding=base.padding).double()
        self.up = nn.Conv2d(2, base.out_channels, 1).double()
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x) + self.up(self.down(x))
        return out


def low_rank(rpn: RPN) -> None:
    rpn.objectness = LowRank(rpn.objectness)  # type: ignore[assignment]


def gelu(rpn: RPN) -> None:
    block = rpn.conv[0]
    assert isinstance(block, nn.Sequential)
    block[1] = nn.GELU()


def normalised(rpn: RPN) -> None:
    rpn.conv.append(nn.GroupNorm(2, CHANNELS).double())


def dilated(rpn: RPN) -> None:
    for layer in rpn.conv.modules():
        if isinstance(layer, nn.Conv2d):
            layer.dilation = layer.padding = (2, 2)


def hooked(rpn: RPN) -> None:
    rpn.conv.register_forward_hook(lambda module, given, hidden: 2 * hidden)


@pytest.mark.parametrize("change", [low_rank, gelu, normalised, dilated, hooked])
def test_layers_that_were_changed_learn_from_what_they_say_of_all(change: Callable[[RPN], None]) -> None:
    rpn, anchors = make(RPN, 2), tuple(torch.zeros(PER_CELL * h * w, 4) for h, w in SIZES)
    change(rpn)
    output, index = rpn(levels(), anchors), torch.arange(ALL).expand(2, -1)
    logits, deltas = rpn.at(output, index)
    assert torch.equal(logits, torch.cat(output.objectness, dim=1).float())
    assert torch.equal(deltas, torch.cat(output.deltas, dim=1).float())
    (logits.sum() + deltas.sum()).backward()
    assert all(parameter.grad is not None for parameter in rpn.parameters())


def test_the_losses_of_a_model_are_those_of_all_anchors(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]
) -> None:
    batch = make_batch([3, 2])
    found = []
    for ours in (True, False):
        model = build_model("model.rpn.convs=1")
        if not ours:
            model.rpn.layers_of_ours = []
        losses = model(batch)
        sum(loss.sum for loss in losses).backward()
        found.append((losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    for one, other in zip(found[0][0], found[1][0]):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert found[0][1].keys() == found[1][1].keys() >= {"rpn.conv.0.0.weight", "rpn.deltas.bias"}
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], rtol=1e-3, atol=1e-3 * float(gradient.abs().max()))
