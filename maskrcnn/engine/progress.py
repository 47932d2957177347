"""Progress for people: a bar in a terminal, plain lines at intervals in a log file, the AP after each validation."""

import sys
import time
from typing import Any, cast

import pytorch_lightning as pl

from maskrcnn.engine.bar import Bar
from maskrcnn.engine.console import Terminal
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.structures import Losses

PATIENCE = 30.0  # seconds after which a log file gets a line anyhow, for slow steps
SHORT = ("objectness", "rpn box", "class", "box", "mask")  # of `Losses`, for the 80 columns of a terminal


class Progress(pl.Callback):
    """Prints the AP after each validation, and shows losses, speed and time left: in a terminal all the time, in a log
    file as a line at intervals.

    Args:
        every_n_steps: optimiser steps between two lines, each at the next step of which losses are logged
            (`trainer.log_every_n_steps`); besides them the run's last step has a line, and steps that take long have
            some of their speed alone.
    """

    def __init__(self, *, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.started = self.line_time = 0.0
        self.first_step = self.line_step = 0
        self.best = float("-inf")
        self.bar: Bar | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = self.line_time = time.perf_counter()
        self.first_step = self.line_step = trainer.global_step
        if trainer.is_global_zero and sys.stdout.isatty():
            self.bar = Bar(Terminal())
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, module = trainer.global_step, cast(MaskRCNNModule, pl_module)
        metrics = trainer.callback_metrics
        logged = step % getattr(trainer, "log_every_n_steps") == 0 and "train/loss" in metrics
        interval = self.every_n_steps if self.bar is None else 1
        due = step // interval > self.line_step // interval or step == module.total_steps
        if trainer.is_global_zero and step > self.line_step and ((logged and due) or self._is_silent()):
            now = time.perf_counter()
            speed = (step - self.line_step) * module.images_per_step / (now - self.line_time)
            left = (module.total_steps - step) * (now - self.started) / max(step - self.first_step, 1)
            pace = f"{speed:.{1 if speed >= 1 else 3}f} images/s  {left / 60:.1f} min left"
            named = {n: metrics[f"train/{n}"] for n in ("loss", *Losses._fields)} if logged else {}
            if self.bar is None:
                losses = " ".join(f"{name} {value:.3f}" for name, value in named.items() if name != "loss")
                shown = f"loss {named['loss']:.3f} ({losses})  " if named else ""
                print(f"step {step}/{module.total_steps}  {shown}{pace}", flush=True)
            else:
                self.bar.pace = pace
                self.bar.losses = "  ".join(f"{n} {v:.3f}" for n, v in zip(("loss", *SHORT), named.values()))
            self.line_time, self.line_step = now, step
        if self.bar is not None:
            epochs = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
            title = f"epoch {trainer.current_epoch + 1}{epochs}"
            self.bar.show(title, batch_idx + 1, int(trainer.num_training_batches))

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        done, of = batch_idx + 1, int(sum(trainer.num_val_batches))
        if self.bar is not None:
            self.bar.show("validation", done, of)
        elif trainer.is_global_zero and not trainer.sanity_checking and self._is_silent():
            print(f"validation: {done} of {of} batches", flush=True)
            self.line_time = time.perf_counter()

    def _is_silent(self) -> bool:
        """Whether a log file has had no line for long."""
        return self.bar is None and time.perf_counter() - self.line_time > PATIENCE

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:  # on a few pictures, before the first epoch
            return
        scores, when = trainer.callback_metrics, f"epoch {trainer.current_epoch + 1}"
        interval = trainer.val_check_interval
        if isinstance(interval, int) or interval != 1.0:  # several in an epoch, or in steps
            when += f", step {trainer.global_step}"
        self.line_time, self.line_step = time.perf_counter(), trainer.global_step  # its time is not the training's
        if trainer.is_global_zero and "segm/AP" in scores:
            print(
                f"{when}: box AP {scores['bbox/AP']:.3f}  mask AP {scores['segm/AP']:.3f}  "
                f"AP50 {scores['segm/AP50']:.3f}  AP75 {scores['segm/AP75']:.3f}",
                flush=True,
            )
            self.best = max(self.best, float(scores["segm/AP"]))
            if self.bar is not None:
                self.bar.scores = f"mask AP {scores['segm/AP']:.3f} after {when}, best since the start {self.best:.3f}"

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()  # there is no teardown then, and the terminal would keep the bar and hide its cursor

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
