"""Signals that stop a run, as Ctrl-C and SIGTERM do: the step is finished and saved, then the run ends."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytorch_lightning as pl

from maskrcnn.config.launcher import is_main
from maskrcnn.engine import ranks
from maskrcnn.engine.last_checkpoint import LastCheckpoint, between_steps
from maskrcnn.engine.module import MaskRCNNModule

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))  # Windows lacks the latter three
HANGUP = getattr(signal, "SIGHUP", None)  # the terminal was closed, or the connection to it


class Stopped(SystemExit):
    """A signal ended a run. How to go on is for what started it to say: a command alone, or a sweep.

    Args:
        code: exit status.
        folder: of the run, with a checkpoint to go on from; None where nothing was saved.
        scores: of a run that was at its end when the signal came, so that it ends only what comes after it.
    """

    def __init__(self, code: int, folder: Path | None, scores: dict[str, float] | None = None) -> None:
        super().__init__(code)
        self.folder, self.scores = folder, scores


class Interruption(pl.Callback):
    """Ends a run after a signal: in training when the optimiser step is done, in a validation after a batch of it,
    which a resumed run repeats from its beginning. A second Ctrl-C ends it at once.

    A context around `fit`, because Lightning sets handlers of its own at its start, that save in the middle of
    things and ask Slurm to requeue the job. The exit code is 128 + the signal's number, as shells have it.

    Args:
        last: writes the checkpoint; None for a run that keeps none.
    """

    def __init__(self, last: LastCheckpoint | None) -> None:
        self.last = last
        self.received = 0
        self.before: dict[int, Any] = {}
        self.common_batches = 0

    def __enter__(self) -> "Interruption":
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._can_listen():
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen()  # again: Lightning has just put its own before ours for SIGTERM, that raises
        trainer._signal_connector.received_sigterm = False  # if it came meanwhile, ours has noted it too

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if between_steps(trainer, batch_idx):
            self._stop_if_asked(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop_if_asked(trainer, pl_module)
        # Ranks may have one batch more or less, and beyond the common ones they cannot ask each other.
        self.common_batches = -ranks.highest(-int(sum(trainer.num_val_batches)))

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        if batch_idx < self.common_batches:
            self._stop_if_asked(trainer, pl_module)

    def _stop_if_asked(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        agreed = ranks.highest(self.received)  # they hear of it at different times, and must stop at the same step
        if not agreed:  # one that came while they talked is kept for the next time
            return
        self.received = agreed
        last = None if trainer.sanity_checking else self.last  # before the first step there is nothing to save
        if last is not None:
            last.write(trainer)
        if trainer.is_global_zero:
            total = cast(MaskRCNNModule, pl_module).total_steps
            nothing = "nothing was saved" if trainer.sanity_checking else "callbacks.last is null: nothing was saved"
            kept = nothing if last is None else f"{last.path} is written"
            print(f"stopped after step {trainer.global_step} of {total}; {kept}", flush=True)
        raise Stopped(128 + self.received, None if last is None else last.path.parent.parent)

    def _listen(self) -> None:
        if self._can_listen():
            for number in SIGNALS:
                if number != HANGUP or self.before[number] != signal.SIG_IGN:  # as nohup has it
                    signal.signal(number, self._note)

    def _can_listen(self) -> bool:
        return threading.current_thread() is threading.main_thread()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            saved = self.last is not None and self.last.path.is_file()
            if is_main():
                _write(b"stopped at once\n")
            # Not KeyboardInterrupt, for which Lightning ends the process with 1.
            raise Stopped(128 + number, self.last.path.parent.parent if self.last is not None and saved else None)
        self.received = number
        # Not print(): the signal may have come in the middle of one, which cannot be entered twice.
        if is_main():
            _write(b"\nfinishing the step, then saving; Ctrl-C once more stops at once\n")


def _write(text: bytes) -> None:
    """Writes to stdout at once. Where the terminal is gone, what is printed from then on goes nowhere: it must not end
    a step that is to be saved.
    """
    try:
        os.write(1, text)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        terminal = os.fstat(1).st_rdev
        for stream in (2, 1):
            if os.fstat(stream).st_rdev == terminal:
                os.dup2(nowhere, stream)
