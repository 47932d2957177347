"""A loss that is not finite: training stops or leaves out the step, and a black box is written."""

import math
from pathlib import Path
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from maskrcnn.data.window import Windowed
from maskrcnn.engine import black_box, ranks
from maskrcnn.engine.last_checkpoint import between_steps
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.ranges import watch
from maskrcnn.structures import Batch

BOXES = 3  # black boxes of one start: each is as large as the model and a batch
IN_A_ROW = 20  # steps left out one after the other that end a run: nothing is learnt any more


class NonFinite(pl.Callback):
    """Looks at the loss of each batch, after its backward pass and before the optimiser uses it.

    All ranks do the same, if one has a loss that is not finite. The first of those writes its batch, the weights before
    the step, and what each module puts out of them to `blackbox_step_000123.pt`, for `python replay.py`.

    What it costs: one number of each batch is read from the device. It is on its way before the backward pass, so that
    on a GPU the host waits for the forward pass only, once a batch, and the GPU has the backward pass to do while the
    optimiser's step is sent to it. And the buffers, such as the running statistics of batch norm, are copied once a
    step. callbacks.non_finite=null does without.

    Args:
        directory: the run's folder.
        action: stop: training ends with a sentence. skip: the optimiser does not step, weights and statistics stay as
            before the step, and the run goes on; the step counts for the schedule. Weights that are themselves not
            finite stop the run all the same, and so do 20 skipped steps in a row. Of skipped steps the first three
            leave a black box.

    Raises:
        ValueError: of `stop`, in the rank that speaks for all.
    """

    def __init__(self, *, directory: str, action: Literal["stop", "skip"]) -> None:
        self.directory, self.action = Path(directory), action
        self.batch: Batch | None = None
        self.loss: Tensor | None = None  # on the host, once `arrived`
        self.arrived: torch.cuda.Event | None = None
        self.bad: tuple[Batch, float] | None = None  # of this step, the first batch with such a loss
        self.buffers: list[Tensor] = []  # before the step
        self.skipped = 0
        self.in_a_row = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.batch = batch.batch if isinstance(batch, Windowed) else batch
        if between_steps(trainer, batch_idx):
            self.bad = None
            self.buffers = [buffer.clone() for buffer in _module(pl_module).model.buffers()]

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self.loss = loss.detach()
        if self.loss.is_cuda:
            self.loss = torch.empty((), dtype=loss.dtype, pin_memory=True).copy_(self.loss, non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self.batch is not None and self.loss is not None
        if self.arrived is not None:
            self.arrived.synchronize()
        loss = self.loss.item()
        if self.bad is None and not math.isfinite(loss):
            self.bad = self.batch, loss

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        first = ranks.number() - ranks.highest(0 if self.bad is None else ranks.number() - trainer.global_rank)
        if first == ranks.number():
            self.in_a_row = 0
            return
        module, step = _module(pl_module), trainer.global_step + 1
        for buffer, before in zip(module.model.buffers(), self.buffers):
            buffer.copy_(before)
        for parameter in module.model.parameters():
            parameter.grad = None  # the optimiser passes over it: no decay, no momentum
        path = self.directory / f"blackbox_step_{step:06d}.pt"
        written = self.action == "stop" or self.skipped < BOXES
        if written:
            self._write(path, trainer, module, step, first)
        usable = all(bool(parameter.isfinite().all()) for parameter in module.model.parameters())
        lost = bool(ranks.highest(int(not usable)))  # after the file is written: the others wait for it here
        told = f"; {path} holds it, and python replay.py {path} names the first bad tensor" if written else ""
        found = f"the loss of step {step} is not finite{told}"
        self.in_a_row += 1
        hopeless = self.in_a_row == IN_A_ROW
        if self.action == "stop" or lost or hopeless:
            if not trainer.is_global_zero:
                raise SystemExit(0)
            why = "callbacks.non_finite.action=skip leaves out such steps"
            if lost:
                why = (
                    "Weights are not finite before this step: go on from a checkpoint before it, with a lower "
                    "optimizer.lr"
                )
            elif hopeless:
                why = f"It is the last of {IN_A_ROW} in a row that were left out: nothing is learnt any more"
            raise ValueError(f"{found}. {why}")
        self.skipped += 1
        if trainer.is_global_zero:
            print(f"left out step {step}: {found}", flush=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.skipped and trainer.is_global_zero:
            print(f"{self.skipped} steps since the start were left out, as their losses were not finite", flush=True)

    def _write(self, path: Path, trainer: pl.Trainer, module: MaskRCNNModule, step: int, first: int) -> None:
        assert self.batch is not None
        batch, loss = self.bad or (self.batch, 0.0)
        with trainer.precision_plugin.forward_context():  # in all ranks, as batch norm may be over all
            losses, ranges = watch(module.model, batch)
        if trainer.global_rank == first:
            box = black_box.content(module.model, batch, getattr(trainer, "datamodule"), losses, ranges)
            black_box.write(path, {"step": step, "rank": first, "loss": loss, **box}, module.content)


def _module(pl_module: pl.LightningModule) -> MaskRCNNModule:
    return cast(MaskRCNNModule, pl_module)
