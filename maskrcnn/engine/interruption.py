"""Ctrl-C and SIGTERM: the step is finished and saved, so that a resumed run goes on with the same bits."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytorch_lightning as pl
import torch

from maskrcnn.engine.module import MaskRCNNModule

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(pl.Callback):
    """Saves and ends a run at the next optimiser step's end after Ctrl-C or SIGTERM; a second Ctrl-C ends it at once.

    A validation that is due is run first, and one step of the next epoch: Lightning skips the validation of a run that
    is resumed from between the two. The exit code is 128 + the signal's number, as shells have it.

    Args:
        path: the checkpoint to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.received = 0
        self.before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not earlier: Lightning sets its own handlers just before, that raise in the middle of things.
        self.received = 0
        self.before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self._any_rank(trainer) or trainer.fit_loop.epoch_loop._should_accumulate():
            return
        if trainer.is_last_batch:
            return
        trainer.save_checkpoint(self.path)
        if trainer.is_global_zero:
            total = cast(MaskRCNNModule, pl_module).total_steps
            print(
                f"stopped after step {trainer.global_step} of {total}, wrote {self.path}; to go on, repeat the command "
                f"with resume={self.path.parent.parent}",
                flush=True,
            )
        raise SystemExit(128 + (self.received or signal.SIGINT))

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        # Not print(): the signal may have come in the middle of one, which cannot be entered twice.
        os.write(sys.stdout.fileno(), b"\nfinishing the step, then saving; Ctrl-C once more stops at once\n")

    def _any_rank(self, trainer: pl.Trainer) -> bool:
        """Ranks hear of a signal at different times, and must stop at the same step."""
        if trainer.world_size == 1:
            return bool(self.received)
        heard = torch.tensor(self.received, device=trainer.strategy.root_device)
        self.received = int(trainer.strategy.reduce(heard, reduce_op="max"))  # type: ignore[arg-type]
        return bool(self.received)
