"""Too little memory: found out before the first epoch, and told with what to set."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import numpy as np
import pytorch_lightning as pl
import torch

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.resize import canvas_side
from maskrcnn.data.views import take_census
from maskrcnn.data.window import Windowed
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.structures import MASK_CROP, Batch, Targets

GIB = 2**30


class OutOfMemory(pl.Callback):
    """What is done so that memory does not end a run, and what is said where it does.

    Args:
        try_first: learn from the largest batch that the configuration can give before the first epoch, without a
            change to weights, statistics, random numbers or optimiser; what the optimiser keeps for each weight is not
            in it. auto: on accelerators; always: on a CPU too; never.
        action: stop: the run ends with a sentence. split: a training batch that does not fit is learnt in halves, and
            these in halves if need be, with the same gradients; see `SplittingModule`.
    """

    def __init__(self, *, try_first: Literal["auto", "always", "never"], action: Literal["stop", "split"]) -> None:
        self.try_first, self.action = try_first, action
        self.batch = ""  # the last that was begun, in words
        self.validating = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.try_first == "never" or (self.try_first == "auto" and pl_module.device.type == "cpu"):
            return
        module, data = cast(MaskRCNNModule, pl_module), cast(CocoDataModule, getattr(trainer, "datamodule"))
        batch = largest_batch(data)
        self._note(batch, False, ", the largest batch that the configuration can give")
        rehearse(module, module.transfer_batch_to_device(batch, module.device, 0))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._note(batch.batch if isinstance(batch, Windowed) else batch, False, "")

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._note(batch, True, " in validation")

    def _note(self, batch: Batch, validating: bool, which: str) -> None:
        self.batch, self.validating = f"{describe(batch)}{which}", validating

    @contextmanager
    def explained(self, trainer: pl.Trainer, batch_size: int) -> Iterator[None]:
        """Within it, running out of memory ends in one sentence.

        Args:
            trainer: that trains; batch_size: `data.batch_size`.

        Raises:
            ValueError: memory was too little; with the batch and what to set.
        """
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise ValueError(
                f"out of memory with {self.batch}{_peak(trainer)}: {self._remedies(trainer, batch_size)}"
            ) from error

    def _remedies(self, trainer: pl.Trainer, size: int) -> str:
        ways = []
        if self.validating:
            ways.append("a smaller data.val_batch_size")
        elif size > 1 and self.action == "stop":  # else not even a single picture fits
            parts = next(n for n in range(2, size + 1) if size % n == 0)
            accumulated = trainer.accumulate_grad_batches * parts
            same = f"trainer.accumulate_grad_batches={accumulated} (as many pictures a step)"
            ways.append(f"data.batch_size={size // parts} {same}")
            if trainer.world_size == 1:
                ways.append("out_of_memory.action=split")
        ways.append("a smaller data.resize and data.canvases")
        if str(trainer.precision).startswith("32"):
            ways.append("trainer.precision=bf16-mixed")
        if getattr(trainer.lightning_module, "recorded", None) is not None:
            ways.append("cuda_graphs=false")
        return f"give {', '.join(ways[:-1])} or {ways[-1]}" if len(ways) > 1 else f"give {ways[0]}"


def describe(batch: Batch) -> str:
    """A batch's size, in words."""
    count, channels, height, width = batch.images.shape
    return f"{count} pictures of {channels} x {height} x {width} with {batch.targets.valid.shape[1]} object slots"


def _peak(trainer: pl.Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type != "cuda":
        return ""
    peak, total = torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    return f" (at most {peak / GIB:.1f} of {total / GIB:.1f} GiB were in use by tensors)"


def largest_batch(data: CocoDataModule) -> Batch:
    """A batch of noise as large as the configuration can give, with an object in all of the most slots: on the canvas
    that holds the data set's pictures after resize, upright and turned ones together. Without canvases, transforms that
    turn or enlarge pictures may give a larger one.
    """
    count, slots = data.batch_size, data.collate.object_slots[-1]
    height, width = _largest_canvas(data)
    noise = torch.Generator().manual_seed(0)
    shape = (count, data.read.channels, height, width)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=noise)
    corners = torch.rand(count, slots, 2, generator=noise) / 2  # as shares of the canvas, and so are the sizes
    sizes = 0.05 + 0.45 * torch.rand(count, slots, 2, generator=noise)
    boxes = torch.cat((corners, corners + sizes), dim=2) * torch.tensor([width, height, width, height])
    whole = torch.tensor([[height, width]]).expand(count, 2).contiguous()
    targets = Targets(
        boxes=boxes,
        labels=torch.randint(len(data.classes), (count, slots), generator=noise),
        masks=torch.full((count, slots, MASK_CROP, MASK_CROP), 255, dtype=torch.uint8),
        mask_sizes=torch.full((count, slots, 2), MASK_CROP),
        valid=torch.ones(count, slots, dtype=torch.bool),
    )
    number = torch.arange(count)
    return Batch(images, whole, whole, number, number, targets)


def _largest_canvas(data: CocoDataModule) -> tuple[int, int]:
    pictures = np.unique(take_census(data.train_annotations.records).sizes, axis=0).tolist()
    sizes = np.array([data.resize.largest(height, width) for height, width in pictures])
    if data.collate.canvases:
        side = int(sizes.max())
        return next((canvas for canvas in data.collate.canvases if min(canvas) >= side), data.collate.canvases[-1])
    canvases = canvas_side(sizes)
    if data.batch_size == 1:
        canvases = canvases[[canvases.prod(axis=1).argmax()]]
    height, width = canvases.max(axis=0).tolist()
    return height, width


def rehearse(module: MaskRCNNModule, batch: Batch) -> None:
    """Learns from a batch, and forgets it: gradients are thrown away, buffers and random numbers put back."""
    device = module.device
    before = [buffer.clone() for buffer in module.model.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        module.rehearse(batch)
    for buffer, value in zip(module.model.buffers(), before):
        buffer.copy_(value)
