"""Parts of the model that begin to learn later than others."""

import pytorch_lightning as pl
from torch import nn

from maskrcnn.engine.module import MaskRCNNModule


class Freeze(pl.Callback):
    """Keeps parts of the model as they are during the first epochs: no gradient, no step, no new batch-norm statistics.

    What is frozen is a function of the epoch alone, and all parameters are in the optimiser from the start, so that a
    resumed run has the same bits. An optimiser passes over parameters without a gradient: weight decay and momentum of
    a part begin when it is let go. What `model.backbone.frozen_stages` froze stays frozen.

    Args:
        until: the number of first epochs that a part is frozen for, by name, such as {backbone: 2, backbone.layer1: 4};
            of parts within each other, the longer one counts. With as many epochs as the run has, a part never learns.
            Null freezes nothing.

    Raises:
        ValueError: a number is negative.
    """

    def __init__(self, *, until: dict[str, int] | None) -> None:
        self.until = until or {}
        for name, epochs in self.until.items():
            if epochs < 0:
                raise ValueError(f"callbacks.freeze.until.{name} is {epochs}; give a number of epochs, 0 or more")
        self.trainable: list[nn.Parameter] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, MaskRCNNModule)
        self.trainable = [parameter for parameter in pl_module.model.parameters() if parameter.requires_grad]

    def check(self, model: nn.Module) -> None:
        """Makes sure that a model has the parts, and that others learn in the first epoch.

        Raises:
            ValueError: not so.
        """
        for name in self.until:
            check_part(model, name)
        first = {
            id(p) for name, epochs in self.until.items() if epochs > 0 for p in model.get_submodule(name).parameters()
        }
        if self.until and all(id(p) in first for p in model.parameters() if p.requires_grad):
            raise ValueError(f"callbacks.freeze.until is {self.until}: nothing is left to learn in the first epoch")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Lightning does not call `on_train_epoch_start` where it resumes within an epoch.
        self._apply(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._apply(trainer, pl_module)

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: object) -> None:
        for parameter in self._frozen_parameters(trainer, pl_module):
            parameter.grad = None

    def _parts(self, trainer: pl.Trainer, pl_module: pl.LightningModule, frozen: bool) -> list[nn.Module]:
        assert isinstance(pl_module, MaskRCNNModule)
        epoch = trainer.current_epoch
        return [pl_module.model.get_submodule(n) for n, end in self.until.items() if (epoch < end) == frozen]

    def _frozen_parameters(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> list[nn.Parameter]:
        return [p for part in self._parts(trainer, pl_module, frozen=True) for p in part.parameters()]

    def _apply(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for part in self._parts(trainer, pl_module, frozen=False):
            part.train()
        for part in self._parts(trainer, pl_module, frozen=True):
            part.eval()
        if trainer.world_size > 1:  # ranks would wait for the gradients of what was learning when they were joined
            return
        frozen = {id(parameter) for parameter in self._frozen_parameters(trainer, pl_module)}
        for parameter in self.trainable:
            parameter.requires_grad_(id(parameter) not in frozen)


def check_part(model: nn.Module, name: str) -> None:
    """Makes sure that a model has a part.

    Raises:
        ValueError: it has not; the message names those that it has there.
    """
    part, passed = model, ""
    for step in name.split("."):
        children = {child: module for child, module in part.named_children() if any(True for _ in module.parameters())}
        if step not in children:
            known = [f"{passed}{child}" for child in children]
            raise ValueError(
                f"callbacks.freeze.until: the model has no part {name!r}; there are {', '.join(known) or 'none in it'}"
            )
        part, passed = children[step], f"{passed}{step}."
