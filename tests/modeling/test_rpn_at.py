"""What the RPN says of a few anchors, beside what it says of all."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.rpn import RPN, RPNOutput
from maskrcnn.structures import Batch

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


def test_the_losses_of_a_model_are_those_of_all_anchors(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]
) -> None:
    batch = make_batch([3, 2])
    found = []
    for ours in (True, False):
        model = build_model("model.rpn.convs=1")
        model.rpn.layers_are_ours = ours
        losses = model(batch)
        sum(loss.sum for loss in losses).backward()
        found.append((losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    for one, other in zip(found[0][0], found[1][0]):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert found[0][1].keys() == found[1][1].keys() >= {"rpn.conv.0.0.weight", "rpn.deltas.bias"}
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], rtol=1e-3, atol=1e-3 * float(gradient.abs().max()))
