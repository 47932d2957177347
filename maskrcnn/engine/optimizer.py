"""The optimiser and its learning rate over a run."""

import contextlib
import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

REFERENCE_BATCH = 16  # images a step that `optimizer.lr` is stated for, as in the paper


class Optimizer:
    """Makes a torch optimiser for a model: scaled learning rate, smaller in the backbone's first layers if asked, no
    weight decay on norms and biases.

    Args:
        algorithm: makes it from parameter groups and lr.
        lr: peak learning rate for 16 images a step.
        scale_lr: multiply it by images a step / 16 (arXiv 1706.02677: right for SGD, not for Adam).
        weight_decay: of weights with two dimensions or more.
        layer_decay: see `layer_factors`; 1.0 is off. ViTDet's recipe for its base model has 0.7.

    Raises:
        ValueError: lr or weight_decay is below 0, or layer_decay is not above 0 and at most 1.
    """

    def __init__(
        self,
        *,
        algorithm: Callable[..., torch.optim.Optimizer],
        lr: float,
        scale_lr: bool,
        weight_decay: float,
        layer_decay: float,
    ) -> None:
        if lr <= 0:
            raise ValueError(f"optimizer.lr is {lr}; give more than 0")
        if weight_decay < 0:
            raise ValueError(f"optimizer.weight_decay is {weight_decay}; give 0, which is off, or more")
        if not 0 < layer_decay <= 1:
            raise ValueError(f"optimizer.layer_decay is {layer_decay}; give more than 0 and at most 1, which is off")
        self.algorithm, self.lr, self.scale_lr, self.weight_decay = algorithm, lr, scale_lr, weight_decay
        self.layer_decay = layer_decay

    def scaled_lr(self, images_per_step: int) -> float:
        """The peak learning rate for this many images a step, over all devices and accumulated batches."""
        return self.lr * images_per_step / REFERENCE_BATCH if self.scale_lr else self.lr

    def check(self, model: nn.Module) -> None:
        """Makes sure that it can be built, as far as that is known on any device: only algorithms of torch are tried.

        Raises:
            ValueError: as `build`.
        """
        layer_factors(model, self.layer_decay)
        if getattr(self.algorithm, "func", self.algorithm).__module__.startswith("torch."):
            with contextlib.suppress(RuntimeError):  # such as of fused=true, which is of the device
                self.build(model, REFERENCE_BATCH)

    def build(self, model: nn.Module, images_per_step: int) -> torch.optim.Optimizer:
        """The optimiser of the model's trainable parameters.

        Raises:
            ValueError: the algorithm refuses them or its own numbers, or the backbone does not say its layers.
        """
        factors = layer_factors(model, self.layer_decay)
        lr = self.scaled_lr(images_per_step)
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for decayed in (True, False):
            for name, parameter in model.named_parameters():
                if parameter.requires_grad and (parameter.dim() > 1) == decayed:
                    groups.setdefault((factors[name], decayed), []).append(parameter)
        split = [
            {"params": parameters, "lr": lr * factor, "weight_decay": self.weight_decay if decayed else 0.0}
            for (factor, decayed), parameters in groups.items()
        ]
        try:
            return self.algorithm(split, lr=lr)
        except ValueError as error:
            raise ValueError(f"optimizer.algorithm: {error}") from error


def layer_factors(model: nn.Module, decay: float) -> dict[str, float]:
    """What each parameter's learning rate is multiplied by, by name: layer-wise decay over the backbone.

    The backbone's last block gets `decay`, the one before `decay` squared, and so on to the stem; neck and heads the
    full rate. As in ViTDet (arXiv 2203.16527; `get_vit_lr_decay_rate` of Detectron2), with a residual block in place of
    a layer of its transformer; ConvNeXt's layers are its authors', larger ones.

    Raises:
        ValueError: a backbone that does not say its layers.
    """
    factors = {name: 1.0 for name, _ in model.named_parameters()}
    if decay == 1:
        return factors
    backbone: Any = model.get_submodule("backbone")
    if not hasattr(backbone, "layers"):
        raise ValueError(
            f"optimizer.layer_decay is {decay}, but {type(backbone).__name__} has no method `layers` that lists its "
            "stem and blocks from the input on, see maskrcnn.modeling.resnet.ResNet.layers: add one, or set it to 1.0"
        )
    layers = backbone.layers()
    of_parameter = {id(p): decay ** (len(layers) - i) for i, layer in enumerate(layers) for p in layer.parameters()}
    return {name: of_parameter.get(id(parameter), 1.0) for name, parameter in model.named_parameters()}


class Schedule(Protocol):
    """The learning rate as a factor of its peak."""

    def factor(self, step: int, total: int) -> float:
        """The factor at an optimiser step of a run of `total` steps."""
        ...


def _warmup(step: int, steps: int, start: float) -> float:
    return 1.0 if step >= steps else start + (1 - start) * step / steps


class MultiStep:
    """Linear warm-up, then a constant that falls at milestones: the paper's schedule.

    Args:
        warmup_steps: optimiser steps of the warm-up; warmup_start: its first factor.
        milestones: where the rate falls, as shares of the run, so that a shorter run keeps its shape.
        gamma: what it is multiplied by there.
    """

    def __init__(self, *, warmup_steps: int, warmup_start: float, milestones: list[float], gamma: float) -> None:
        if any(not 0 < m < 1 for m in milestones):
            raise ValueError(
                f"schedule.milestones are shares of the run between 0 and 1, such as [0.67, 0.89]; got {milestones}"
            )
        self.warmup_steps, self.warmup_start = warmup_steps, warmup_start
        self.milestones, self.gamma = milestones, gamma

    def factor(self, step: int, total: int) -> float:
        """The factor at an optimiser step of a run of `total` steps."""
        passed = sum(step >= round(m * total) for m in self.milestones)
        return _warmup(step, self.warmup_steps, self.warmup_start) * self.gamma**passed


class Cosine:
    """Linear warm-up, then half a cosine down to the end of the run (arXiv 1608.03983).

    Args:
        warmup_steps: optimiser steps of the warm-up; warmup_start: its first factor.
        final: the factor at the end.
    """

    def __init__(self, *, warmup_steps: int, warmup_start: float, final: float) -> None:
        self.warmup_steps, self.warmup_start, self.final = warmup_steps, warmup_start, final

    def factor(self, step: int, total: int) -> float:
        """The factor at an optimiser step of a run of `total` steps."""
        progress = min(max(step - self.warmup_steps, 0) / max(total - self.warmup_steps, 1), 1.0)
        cosine = self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2
        return _warmup(step, self.warmup_steps, self.warmup_start) * cosine
