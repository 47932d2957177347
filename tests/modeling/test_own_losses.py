"""Heads of one's own that change a loss and nothing else."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.modeling.box_head import BoxHead
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.rpn import RPN
from maskrcnn.structures import Batch, Losses


class Ones:
    """Every loss is 1: sums are then counts."""

    def ones(self, *given: Tensor) -> Tensor:
        return torch.ones(given[0].shape[:-1])

    class_losses = box_losses = ones


class OnesRPN(Ones, RPN):
    def score_losses(self, logits: Tensor, positive: Tensor) -> Tensor:
        assert positive.dtype == torch.bool
        return torch.ones_like(logits)


class OnesBoxHead(Ones, BoxHead):
    pass


class Focal(BoxHead):
    """(1 - p) ** gamma times the cross-entropy."""

    gamma = 0.0

    def class_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        chosen = logits.softmax(dim=1)[torch.arange(len(labels)), labels]
        return (1 - chosen) ** self.gamma * F.cross_entropy(logits, labels, reduction="none")


@pytest.fixture
def losses(build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]) -> Callable[..., Losses]:
    def make(part: str, kind: type, **more: float) -> Losses:
        model = build_model()
        own = model.get_submodule(part)
        own.__class__ = kind
        vars(own).update(more)
        found: Losses = model(make_batch([3, 2]))
        return found

    return make


def test_own_losses_are_summed_over_the_samples_that_ours_are(losses: Callable[..., Losses]) -> None:
    plain = losses("rpn", RPN)
    rpn, head = losses("rpn", OnesRPN), losses("box_head", OnesBoxHead)
    assert rpn.rpn_objectness.sum == plain.rpn_objectness.count == rpn.rpn_box.count > rpn.rpn_box.sum > 0
    assert head.classification.sum == plain.classification.count == head.box.count > head.box.sum > 0
    assert rpn.box.sum == plain.box.sum and head.mask.sum == plain.mask.sum


def test_a_focal_loss_without_focus_is_the_cross_entropy(losses: Callable[..., Losses]) -> None:
    plain, same, focused = (
        losses("box_head", BoxHead),
        losses("box_head", Focal, gamma=0.0),
        losses("box_head", Focal, gamma=2.0),
    )
    assert same.classification.sum == plain.classification.sum > focused.classification.sum > 0
    assert focused.box.sum == plain.box.sum
