"""The LightningModule: it wires model, optimiser and schedule into Lightning's loop, and does nothing else."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from maskrcnn.data.window import Windowed
from maskrcnn.engine import ranks
from maskrcnn.engine.detector import Detect
from maskrcnn.engine.optimizer import Optimizer, Schedule
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.engine.recorded_losses import RecordedLosses
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Detections, Loss, Losses


def mean_losses(losses: Losses) -> dict[str, Tensor]:
    """Each loss divided by its count, by name; 0 where nothing was counted."""
    return {name: loss.sum / loss.count.clamp(min=1) for name, loss in losses._asdict().items()}


class MaskRCNNModule(pl.LightningModule):
    """Trains a `MaskRCNN` on the losses of the batches of all ranks together, whose means are also logged.

    Args:
        model: the detector.
        optimizer, schedule: how it learns.
        loss_weights: a factor for each loss, by name.
        total_steps: optimiser steps of the run, that the schedule spans.
        images_per_step: over all devices and accumulated batches, for the learning rate's scaling.
        content: what a checkpoint says of the run besides weights: configuration, classes, preprocessing.

    Attributes:
        detect: how validation finds instances.
        recorded: replays the training step, if that is asked for; None works it plainly.
    """

    def __init__(
        self,
        model: MaskRCNN,
        optimizer: Optimizer,
        schedule: Schedule,
        loss_weights: dict[str, float],
        total_steps: int,
        images_per_step: int,
        content: dict[str, Any],
    ) -> None:
        super().__init__()
        self.model = model
        self.detect: Detect = RecordedDetect()
        self.recorded: RecordedLosses | None = None
        self.counts = torch.zeros(len(Losses._fields))  # of the losses of an optimiser step, see `Accumulation`
        self.divisors, self.scale = self.counts, 1  # of the batch's losses, and of what they give
        self.optimizer, self.schedule, self.loss_weights = optimizer, schedule, loss_weights
        self.total_steps, self.images_per_step, self.content = total_steps, images_per_step, content

    def training_step(self, batch: Batch | Windowed, batch_idx: int) -> Tensor:
        scale = ranks.number()  # because DDP takes the mean of the ranks' gradients
        exact = isinstance(batch, Windowed)
        if isinstance(batch, Windowed):
            scale *= self.trainer.accumulate_grad_batches  # and Lightning that of the micro-batches
            if batch.window:
                self.counts = ranks.add(torch.stack([self.model.counts(one) for one in batch.window]).sum(dim=0))
            batch = batch.batch
        losses = self.losses(batch)
        sums, counts = ranks.add(torch.stack([torch.stack((loss.sum.detach(), loss.count)) for loss in losses])).T
        self.divisors, self.scale = self.counts if exact else counts, scale
        interval: int = getattr(self.trainer, "log_every_n_steps")
        if (self.trainer.global_step + 1) % interval == 0:  # logging each step took 3 % of a small model's time
            means = mean_losses(Losses(*map(Loss, sums, counts)))  # of this batch, on all ranks
            logged = {f"train/{name}": loss for name, loss in means.items()}
            self.log_dict({"train/loss": self.weighted(means), **logged}, batch_size=len(batch.images))
        return self.objective(losses)

    def losses(self, batch: Batch) -> Losses:
        """Of a training batch."""
        losses: Losses = self.model(batch) if self.recorded is None else self.recorded(self.model, batch)
        return losses

    def objective(self, losses: Losses) -> Tensor:
        """What this rank adds to the loss of the step, for losses of the step's batch or of a part of it."""
        own = Losses(*(Loss(loss.sum, divisor) for loss, divisor in zip(losses, self.divisors)))
        return self.weighted(mean_losses(own)) * self.scale

    def rehearse(self, batch: Batch) -> None:
        """Forward and backward pass of a training batch, whose gradients go nowhere."""
        with self.trainer.precision_plugin.forward_context():
            loss = self.weighted(mean_losses(self.model(batch)))
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        torch.autograd.grad(loss, parameters, allow_unused=True)

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """The sum of means by name, each times its factor."""
        return torch.stack([self.loss_weights[name] * loss for name, loss in losses.items()]).sum()

    def on_validation_start(self) -> None:
        ranks.share(self.model.buffers())  # each has its own statistics of batch norm; all score what is saved

    def validation_step(self, batch: Batch, batch_idx: int) -> Detections:  # type: ignore[override]
        return self.detect(self.model, batch.images, batch.image_sizes)

    def on_validation_end(self) -> None:
        if isinstance(self.detect, RecordedDetect):
            self.detect.forget()  # training needs the memory

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer.build(self.model, self.images_per_step)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.schedule.factor(step, self.total_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["maskrcnn"] = self.content
