"""An exponential moving average of the weights, beside those that are trained."""

import copy
from typing import Any, cast

import pytorch_lightning as pl
import torch

from maskrcnn.engine import ranks
from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.run_files.checkpoint import CheckpointFile
from maskrcnn.structures import Batch


class Ema(pl.Callback):
    """Averages the weights after each optimiser step (Polyak and Juditsky 1992), scores the average in each validation
    beside the weights themselves, and writes its best state to a checkpoint that evaluate.py and predict.py take.

    It is a model of its own: the trained weights are never swapped for it, whatever interrupts a validation. In the
    run's checkpoints it has the key `ema`, with which a resumed run goes on exactly.

    Args:
        decay: what the average keeps of itself in a step; 0.999 averages over some 1,000 steps.
        warmup: in the n-th step it keeps no more than (1 + n) / (warmup + n), as TensorFlow's does with 10, so that it
            soon forgets the first weights.
        mean_ap: scores it; its prefix is that of the average's numbers.
        monitor: the number by which the best state is known.
        path: where that is written.
    """

    def __init__(self, *, decay: float, warmup: float, mean_ap: MeanAP, monitor: str, path: str) -> None:
        if not 0 <= decay < 1 or warmup < 1:
            raise ValueError(
                f"decay is {decay} and warmup {warmup}; give a decay from 0 to below 1, a warmup from 1 on"
            )
        self.decay, self.warmup, self.mean_ap = decay, warmup, mean_ap
        self.monitor, self.path = monitor, path
        self.detect = RecordedDetect()
        self.updates, self.step, self.best = 0, 0, -1.0
        self.loaded: dict[str, Any] | None = None
        self.model: MaskRCNN

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.mean_ap.setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.model = copy.deepcopy(cast(MaskRCNNModule, pl_module).model).eval().requires_grad_(False)
        if self.loaded is not None:
            self.model.load_state_dict(self.loaded["weights"])
            self.updates, self.best, self.loaded = self.loaded["updates"], self.loaded["best"], None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.step = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != self.step:  # not within an accumulation
            self.step = trainer.global_step
            self.update(cast(MaskRCNNModule, pl_module).model)

    @torch.no_grad()
    def update(self, model: MaskRCNN) -> None:
        """Moves the average towards the weights, and the statistics of batch norm with them."""
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (self.warmup + self.updates))
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values()))
        average, current = zip(*((a, b) for a, b in pairs if a.is_floating_point()))
        torch._foreach_lerp_(average, current, 1 - keep)
        for a, b in pairs:
            if not a.is_floating_point():
                a.copy_(b)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        ranks.share(self.model.buffers())
        self.mean_ap.on_validation_epoch_start(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int, *_: Any
    ) -> None:
        with trainer.precision_plugin.val_step_context():
            found = self.detect(self.model, batch.images, batch.image_sizes)
        self.mean_ap.on_validation_batch_end(trainer, pl_module, found, batch, batch_idx)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.mean_ap.on_validation_epoch_end(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.detect.forget()
        if trainer.sanity_checking:  # on a few pictures, before anything is learnt
            return
        score = float(trainer.callback_metrics[self.monitor])
        if trainer.is_global_zero:
            print(f"average of the weights: {self.monitor} {score:.3f}", flush=True)
        if score > self.best:
            self.best = score
            self._write(trainer, pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.mean_ap.teardown(trainer, pl_module, stage)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["ema"] = {"weights": self.model.state_dict(), "updates": self.updates, "best": self.best}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.loaded = checkpoint.get("ema")  # without one, the average begins with the weights of now

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            weights = {f"model.{name}": value for name, value in self.model.state_dict().items()}
            checkpoint = {"epoch": trainer.current_epoch, "global_step": trainer.global_step, "state_dict": weights}
            pl_module.on_save_checkpoint(checkpoint)
            CheckpointFile().save_checkpoint(checkpoint, self.path)
