"""Parameter groups and learning rates."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.optimizer import Cosine, MultiStep, Optimizer, layer_factors


@pytest.fixture(scope="module")
def model() -> nn.Module:
    small = ["model.neck.channels=8", "model.box_head.trunk.features=[8]", "model.mask_head.channels=[8]"]
    return build(to_plain(compose(["backbone=resnet50", *small]))["model"], [])(2, 3)


def test_the_rate_of_a_resnet50_falls_block_by_block_to_the_stem(model: nn.Module) -> None:
    factors = layer_factors(model, 0.5)
    # 16 blocks of 3, 4, 6 and 3: counted from the end by hand.
    assert factors["backbone.layer4.2.conv3.weight"] == 0.5
    assert factors["backbone.layer4.0.downsample.0.weight"] == 0.5**3
    assert factors["backbone.layer3.5.bn1.bias"] == 0.5**4
    assert factors["backbone.layer3.0.conv1.weight"] == 0.5**9
    assert factors["backbone.layer2.0.conv1.weight"] == 0.5**13
    assert factors["backbone.layer1.2.conv1.weight"] == 0.5**14
    assert factors["backbone.layer1.0.conv1.weight"] == 0.5**16
    assert factors["backbone.conv1.weight"] == factors["backbone.bn1.weight"] == 0.5**17
    others = {factor for name, factor in factors.items() if not name.startswith("backbone.")}
    assert others == {1.0} and "mask_head" in "".join(factors)


def make(layer_decay: float) -> Callable[..., torch.optim.Optimizer]:
    algorithm = functools.partial(torch.optim.SGD, momentum=0.9)
    optimizer = Optimizer(algorithm=algorithm, lr=0.02, scale_lr=True, weight_decay=1e-4, layer_decay=layer_decay)
    return functools.partial(optimizer.build, images_per_step=8)


def test_the_optimiser_gives_each_parameter_its_rate_and_decay(model: nn.Module) -> None:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = make(0.5)(model).param_groups
    found = {names[id(p)]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert found.keys() == set(names.values())
    assert found["backbone.layer4.2.conv3.weight"] == (0.005, 1e-4)
    assert found["backbone.layer4.2.bn3.weight"] == (0.005, 0.0)
    assert found["rpn.objectness.bias"] == (0.01, 0.0)
    plain = make(1.0)(model).param_groups
    assert [(group["lr"], group["weight_decay"]) for group in plain] == [(0.01, 1e-4), (0.01, 0.0)]


def test_a_backbone_that_does_not_say_its_layers_is_refused() -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Conv2d(3, 3, 1)

    with pytest.raises(ValueError, match=r"optimizer.layer_decay is 0.5, but Conv2d has no method `layers`"):
        make(0.5)(Other())
    assert len(make(1.0)(Other()).param_groups) == 2
    with pytest.raises(ValueError, match="layer_decay is 0; give more than 0"):
        make(0)


def test_the_rate_rises_and_falls_in_steps() -> None:
    schedule = MultiStep(warmup_steps=4, warmup_start=0.2, milestones=[0.5, 0.67], gamma=0.1)
    factors = [schedule.factor(step, 10) for step in range(10)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 0.1, 0.1, 0.01, 0.01, 0.01])  # 0.67 of 10 is step 7


def test_the_rate_rises_and_falls_by_half_a_cosine() -> None:
    schedule = Cosine(warmup_steps=2, warmup_start=0.5, final=0.2)
    quarter = 0.2 + 0.8 * (1 + 0.5**0.5) / 2  # cos 45 degrees
    factors = [schedule.factor(step, 10) for step in (0, 1, 2, 4, 6, 10, 12)]
    assert factors == pytest.approx([0.5, 0.75, 1.0, quarter, 0.6, 0.2, 0.2])
    assert schedule.factor(1, 2) == pytest.approx(0.75)  # a run that is all warm-up


def test_only_what_is_known_on_any_device_is_refused_beforehand(model: nn.Module) -> None:
    class OnGPU(torch.optim.SGD):
        def __init__(self, *given: object, **named: object) -> None:
            raise ValueError("parameters must be on a GPU")

    def check(algorithm: Callable[..., torch.optim.Optimizer]) -> None:
        Optimizer(algorithm=algorithm, lr=0.02, scale_lr=True, weight_decay=0.0, layer_decay=1.0).check(model)

    check(functools.partial(torch.optim.SGD, momentum=0.9))
    check(OnGPU)
    with pytest.raises(ValueError, match="^optimizer.algorithm: Invalid momentum value: -1$"):
        check(functools.partial(torch.optim.SGD, momentum=-1))
