"""Progress for people: the AP after each validation, and plain lines where the output is not a terminal."""

import sys
import time
from typing import Any, cast

import pytorch_lightning as pl

from maskrcnn.engine.module import MaskRCNNModule

LOSSES = ("rpn_objectness", "rpn_box", "classification", "box", "mask")


class Progress(pl.Callback):
    """Prints the AP after each validation; in a log file also a line of losses, speed and time left at intervals.

    Args:
        every_n_steps: optimiser steps between two lines.
    """

    def __init__(self, *, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.started = self.line_time = 0.0
        self.first_step = self.line_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = self.line_time = time.perf_counter()
        self.first_step = self.line_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, module = trainer.global_step, cast(MaskRCNNModule, pl_module)
        if sys.stdout.isatty() or not trainer.is_global_zero or step == self.line_step or step % self.every_n_steps:
            return
        if "train/loss" not in trainer.callback_metrics:  # before the first `trainer.log_every_n_steps` are over
            return
        now = time.perf_counter()
        speed = (step - self.line_step) * module.images_per_step / (now - self.line_time)
        left = (module.total_steps - step) * (now - self.started) / max(step - self.first_step, 1)
        losses = " ".join(f"{name} {trainer.callback_metrics[f'train/{name}']:.3f}" for name in LOSSES)
        print(
            f"step {step}/{module.total_steps}  loss {trainer.callback_metrics['train/loss']:.3f} ({losses})  "
            f"{speed:.1f} images/s  {left / 60:.1f} min left",
            flush=True,
        )
        self.line_time, self.line_step = now, step

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scores = trainer.callback_metrics
        if trainer.is_global_zero and "segm/AP" in scores:
            print(
                f"epoch {trainer.current_epoch + 1}: box AP {scores['bbox/AP']:.3f}  mask AP {scores['segm/AP']:.3f}  "
                f"AP50 {scores['segm/AP50']:.3f}  AP75 {scores['segm/AP75']:.3f}",
                flush=True,
            )
