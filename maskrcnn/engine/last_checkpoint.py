"""The checkpoint that a run goes on from: when it is written, and what it says of the run's position."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from maskrcnn.engine import ranks
from maskrcnn.engine.metrics_file import MetricsFile
from maskrcnn.run_files.position import Position


def between_steps(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether the batch that is about to be trained on is the first of an optimiser step."""
    return batch_idx % trainer.accumulate_grad_batches == 0


def validates_within(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether a validation comes before the optimiser step that begins with this batch is over."""
    if trainer.val_check_batch is None:
        return False
    done = trainer.fit_loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    return any((done + more) % trainer.val_check_batch == 0 for more in range(1, trainer.accumulate_grad_batches))


class LastCheckpoint(pl.Callback):
    """Writes the checkpoint that a run is resumed from: before and after each validation, at each epoch's end, and
    at intervals; for a validation within an optimiser step, before that step.

    Always between two optimiser steps, when all that came before is logged and no gradient is under way, so that a
    resumed run has the same bits. It must be the first of the callbacks: what others log at the start of a batch
    belongs to the step to come. The end counts once receipt and report are written: a run that is killed meanwhile
    validates once more, and writes them.

    Args:
        path: of the file.
        every_n_steps: optimiser steps between two of the writes at intervals, or null.
        every_n_minutes: minutes between two of them, or null.
    """

    def __init__(self, *, path: str, every_n_steps: int | None, every_n_minutes: float | None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps is {every_n_steps}; give 1 or more, or null")
        self.path = Path(path)
        self.every_n_steps, self.every_n_minutes = every_n_steps, every_n_minutes
        self.validating = self.finished = False
        self.written: Position | None = None
        self.scores: dict[str, float] = {}
        self.step, self.time = 0, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.step, self.time = trainer.global_step, time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if between_steps(trainer, batch_idx) and (
            batch_idx == 0 or validates_within(trainer, batch_idx) or self._interval_over(trainer)
        ):
            self.write(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self.validating = True
            self.write(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validating = False

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.written != self._position(trainer)._replace(validation_due=True):
            self.write(trainer)  # or it stays before the last validation, for a run that is killed in its report

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.finished = True  # receipt and report are written
        self.written = None
        self.write(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if trainer.is_global_zero and self.written and self.written.step and not isinstance(exception, SystemExit):
            print(
                f"{self.path} holds the run as it was after step {self.written.step}; resume={self.path.parent.parent} "
                "goes on from there",
                flush=True,
            )

    def write(self, trainer: pl.Trainer) -> None:
        """Writes the file, if it does not hold this position already. To be called by all ranks.

        Within a step, what was written before it stays, unless the run has ended there.
        """
        position = self._position(trainer)
        if position != self.written and (self.finished or not position.within_step):
            trainer.save_checkpoint(self.path)
            self.written = position
        self.step, self.time = trainer.global_step, time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        position = self._position(trainer)
        position.write(checkpoint["loops"]["fit_loop"])
        rows = next((one.rows for one in trainer.loggers if isinstance(one, MetricsFile)), 0)
        scores = {name: float(value) for name, value in trainer.callback_metrics.items() if "/AP" in name}
        self.scores = scores or self.scores  # after going on, those of before until the next validation
        checkpoint["progress"] = {
            "position": position._asdict(),
            "finished": self.finished,
            "metrics_rows": rows,
            "scores": self.scores,
            "threads": torch.get_num_threads(),
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.written = Position(**checkpoint["progress"]["position"])
        self.scores = checkpoint["progress"]["scores"]

    def _position(self, trainer: pl.Trainer) -> Position:
        done: Any = trainer.fit_loop.epoch_loop.batch_progress.total
        per_epoch = int(trainer.num_training_batches)
        return Position(done.processed, per_epoch, trainer.accumulate_grad_batches, self.validating)

    def _interval_over(self, trainer: pl.Trainer) -> bool:
        if self.every_n_steps is not None and trainer.global_step - self.step >= self.every_n_steps:
            return True
        if self.every_n_minutes is None:
            return False
        over = time.monotonic() - self.time >= 60 * self.every_n_minutes
        return bool(ranks.highest(int(over)))  # their clocks differ
