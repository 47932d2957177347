"""The optimiser and its learning rate over a run."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

REFERENCE_BATCH = 16  # images a step that `optimizer.lr` is stated for, as in the paper


class Optimizer:
    """Makes a torch optimiser for a model: scaled learning rate, no weight decay on norms and biases.

    Args:
        algorithm: makes it from parameter groups and lr.
        lr: peak learning rate for 16 images a step.
        scale_lr: multiply it by images a step / 16 (arXiv 1706.02677: right for SGD, not for Adam).
        weight_decay: of weights with two dimensions or more.
    """

    def __init__(
        self, *, algorithm: Callable[..., torch.optim.Optimizer], lr: float, scale_lr: bool, weight_decay: float
    ) -> None:
        self.algorithm, self.lr, self.scale_lr, self.weight_decay = algorithm, lr, scale_lr, weight_decay

    def scaled_lr(self, images_per_step: int) -> float:
        """The peak learning rate for this many images a step, over all devices and accumulated batches."""
        return self.lr * images_per_step / REFERENCE_BATCH if self.scale_lr else self.lr

    def build(self, model: nn.Module, images_per_step: int) -> torch.optim.Optimizer:
        """The optimiser of the model's trainable parameters."""
        trainable = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trainable if p.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trainable if p.dim() <= 1], "weight_decay": 0.0},
        ]
        return self.algorithm([g for g in groups if g["params"]], lr=self.scaled_lr(images_per_step))


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
        self.warmup_steps, self.warmup_start, self.milestones, self.gamma = (
            warmup_steps,
            warmup_start,
            milestones,
            gamma,
        )

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
