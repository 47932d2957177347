"""Completes a run's receipt while it trains, and keeps checksums of its steps."""

import math
import time
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from maskrcnn.data.fingerprint import fingerprint
from maskrcnn.engine.checksum import checksum, hash_state, parts
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.run_files import checksum_file, receipt_file


class Receipt(pl.Callback):
    """Adds to `receipt.json` what is known of the data at the start, and of the result at the end; writes
    `checksums.csv`: losses and sums of the weights of each of the first 20 optimiser steps, then of one in some.

    Sums are made on the device and fetched together: at step 20, at a checkpoint and at the end. A run that is resumed
    keeps the lines up to the step that it goes on from.

    Args:
        directory: the run's folder, in which `train.py` has begun a receipt; without one there are checksums only.
        every_n_steps: after the first 20 steps, one in so many has a line.
    """

    def __init__(self, *, directory: str, every_n_steps: int) -> None:
        if every_n_steps < 1:
            raise ValueError(f"callbacks.receipt.every_n_steps is {every_n_steps}; give 1 or more")
        self.directory, self.every_n_steps = Path(directory), every_n_steps
        self.step, self.began = 0, 0.0
        self.losses: list[Tensor] = []  # of the batches of the current step
        self.held: dict[int, tuple[Tensor, Tensor]] = {}  # loss and sums of steps, still on the device
        self.starting = ""
        self.data: dict[str, Any] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit" or not trainer.is_global_zero:
            return
        self.began = time.perf_counter()
        data: Any = getattr(trainer, "datamodule")
        self.data = fingerprint(data.selection.used(data.source.splits(data.root)))
        # Before a checkpoint is loaded: of a resumed run these are not the weights that it goes on with.
        self.starting = hash_state(_model(pl_module).state_dict())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.step, self.losses, self.held = trainer.global_step, [], {}
        model = _model(pl_module)
        self.directory.mkdir(parents=True, exist_ok=True)
        checksum_file.cut(self.directory, tuple(parts(model)), self.step if self.step else -1)
        if self.step == 0:
            self._hold(torch.zeros(()), model)
        if self._has_receipt():
            receipt = receipt_file.read(self.directory)
            if self.step == 0:
                receipt["starting_weights"] = self.starting
            start = receipt["starts"][-1]
            start |= {"data": self.data, "step": self.step}
            before = next((one for one in receipt["starts"][-2::-1] if one["data"]), start)
            changed = receipt_file.changed_code(before, start)
            changed += receipt_file.changed_data(before["data"], self.data)
            for what in changed if self.step else ():
                print(f"{what} changed since the run was last started", flush=True)
            receipt["end"] = None  # that of the start before
            receipt_file.write(self.directory, receipt)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero:
            return
        self.losses.append(outputs["loss"])
        if trainer.global_step == self.step:  # gradients are accumulated
            return
        self.step = trainer.global_step
        if self.step <= checksum_file.FIRST or self.step % self.every_n_steps == 0:
            self._hold(torch.stack(self.losses).sum(), _model(pl_module))
        if self.step == checksum_file.FIRST:
            self._fetch()
        self.losses = []

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._fetch()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end(trainer, pl_module, True)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._end(trainer, pl_module, False)

    def _has_receipt(self) -> bool:
        return (self.directory / receipt_file.NAME).is_file()

    def _hold(self, loss: Tensor, model: torch.nn.Module) -> None:
        self.held[self.step] = loss.detach(), torch.stack([checksum(tensors) for tensors in parts(model).values()])

    def _fetch(self) -> None:
        if not self.held:
            return
        losses = torch.stack([loss.to(sums.device) for loss, sums in self.held.values()]).tolist()
        sums = torch.stack([sums for _, sums in self.held.values()]).tolist()
        steps = {
            number: checksum_file.Step(repr(loss) if number else "", tuple(row))
            for number, loss, row in zip(self.held, losses, sums)
        }
        checksum_file.append(self.directory, steps)
        self.held = {}

    def _end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, finished: bool) -> None:
        if not trainer.is_global_zero or not (self.directory / checksum_file.NAME).is_file():
            return
        self._fetch()
        if not self._has_receipt():
            return
        receipt = receipt_file.read(self.directory)
        receipt["starts"][-1]["seconds"] = round(time.perf_counter() - self.began, 1)
        scores = {
            name: value.item()
            for name, value in trainer.callback_metrics.items()
            if name.startswith(("bbox/", "segm/", "val/"))
        }
        receipt["end"] = {
            "finished": finished,
            "steps": trainer.global_step,
            "seconds": round(sum(start["seconds"] or 0 for start in receipt["starts"]), 1),
            "scores": {name: value if math.isfinite(value) else None for name, value in scores.items()},
            "weights": hash_state(_model(pl_module).state_dict()),
            "checksums": checksum_file.read(self.directory).rolling(),
        }
        receipt_file.write(self.directory, receipt)


def _model(pl_module: pl.LightningModule) -> torch.nn.Module:
    return cast(MaskRCNNModule, pl_module).model
