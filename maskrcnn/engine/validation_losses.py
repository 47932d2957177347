"""Logs the losses of the validation pictures."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from maskrcnn.engine import ranks
from maskrcnn.engine.module import MaskRCNNModule, mean_losses
from maskrcnn.structures import Batch, Loss, Losses


class ValidationLosses(pl.Callback):
    """Adds up the losses over a validation and logs `val/loss`, their weighted sum, and each as `val/<name>`.

    They are the losses of training, on pictures as they are, in evaluation mode and without a gradient. Regions are
    drawn by the pictures' own keys, the same in every epoch. Each loss is divided by the count of the whole part, so
    that it does not depend on the size of batches, but for `model.sampler.mask_slots`, which counts for a batch.

    Args:
        every_n_epochs: how often; they cost a forward pass more than AP does.
    """

    def __init__(self, *, every_n_epochs: int) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs is {every_n_epochs}; give 1 or more, or null in place of the callback")
        self.every_n_epochs = every_n_epochs
        self.total: Tensor | None = None  # [losses, 2]: sums and counts so far

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        self.total = torch.zeros(len(Losses._fields), 2, device=pl_module.device) if due else None

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        assert isinstance(pl_module, MaskRCNNModule)
        if self.total is None:
            return
        with trainer.precision_plugin.val_step_context():
            # Not the call: a compiled model would be compiled once more, for evaluation mode.
            losses = pl_module.model.forward(batch)
        self.total += torch.stack([torch.stack((loss.sum.float(), loss.count.float())) for loss in losses])

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, MaskRCNNModule)
        if self.total is None:
            return
        losses = mean_losses(Losses(*map(Loss, *ranks.add(self.total).T)))
        logged = {f"val/{name}": loss for name, loss in losses.items()}
        pl_module.log_dict({"val/loss": pl_module.weighted(losses), **logged})
