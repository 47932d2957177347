"""Shows where the time of a training step goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from rich.table import Table
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, record_function

from maskrcnn.engine.console import Terminal, say
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.modeling.mask_rcnn import MaskRCNN

# What a step does, in its order: a name, and the methods of the model's parts that do it. They do not call each other.
PARTS: dict[str, list[str]] = {
    "normalise": ["normalise"],
    "backbone": ["backbone.forward"],
    "neck": ["neck.forward"],
    "RPN head": ["rpn.forward"],
    "RPN loss": ["rpn.loss"],
    "proposals": ["rpn.propose"],
    "sampling": ["sampler.forward", "sampler.mask_samples"],
    "RoIAlign": ["pooler.table", "pooler.forward"],
    "box head": ["box_head.forward", "box_head.loss"],
    "mask head": ["mask_head.forward", "mask_head.targets", "mask_head.loss"],
}
DATA, OPTIMISER = "data", "optimiser"
PREFIX = "step: "  # of the ranges' names in the trace


class Profile(pl.Callback):
    """Runs a few steps under torch's profiler, prints a table of the model's parts, and writes a trace.

    The backward of a part is told by autograd's sequence numbers. On an accelerator the times are those of its kernels,
    but for the data. The profiler makes each operator a few microseconds slower. Of several ranks it looks at
    the first; where that waits for the others counts as "other".

    Args:
        directory: for `trace.json`.
        skip: first steps that are not looked at: buffers are made and caches filled in them.
        steps: how many are; all within one epoch.
    """

    def __init__(self, *, directory: str, skip: int, steps: int) -> None:
        if skip < 1 or steps < 1:
            raise ValueError(f"skip is {skip} and steps {steps}; give 1 or more")
        self.directory, self.skip, self.steps = Path(directory), skip, steps
        self.profiler: Any = None
        self.range: record_function | None = None

    def check(self, batches: int) -> None:
        """Makes sure that there is enough to look at.

        Args:
            batches: of an epoch.

        Raises:
            ValueError: there is not.
        """
        if batches < self.skip + self.steps:
            raise ValueError(
                f"callbacks.profile looks at {self.steps} steps after the first {self.skip}, but an epoch has "
                f"{batches} batches: take more pictures, a smaller data.batch_size, or fewer callbacks.profile.skip "
                "and callbacks.profile.steps"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, MaskRCNNModule)
        name_parts(pl_module.model)
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(lambda *_: self._close())

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, idx: int) -> None:
        self._close()

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: object) -> None:
        self._open(OPTIMISER)  # clipping of gradients comes next

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero:
            return
        if batch_idx == self.skip - 1:
            activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
            self.profiler = torch.profiler.profile(activities=activities)
            self.profiler.start()
        if batch_idx == self.skip + self.steps - 1:
            self.profiler.stop()
            self.directory.mkdir(parents=True, exist_ok=True)
            trace = self.directory / "trace.json"
            self.profiler.export_chrome_trace(str(trace))
            console = Terminal()
            console.print(time_table(time_of_parts(self.profiler.events()), self.steps))
            say(console, f"wrote {trace}: open it at https://ui.perfetto.dev or chrome://tracing")
            self.profiler = None
        self._open(DATA)

    def _open(self, name: str) -> None:
        if self.profiler is not None:
            self.range = record_function(PREFIX + name)
            self.range.__enter__()

    def _close(self) -> None:
        if self.range is not None:
            self.range.__exit__(None, None, None)
            self.range = None


def name_parts(model: MaskRCNN) -> None:
    """Puts a named range around each of the methods in `PARTS`, on this one model."""

    def named(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with record_function(PREFIX + name):
                return method(*args, **kwargs)

        return call

    for name, methods in PARTS.items():
        for path in methods:
            owner, _, method = path.rpartition(".")
            part = model.get_submodule(owner)
            setattr(part, method, named(name, getattr(part, method)))


def time_of_parts(events: Any) -> dict[str, list[float]]:
    """Forward and backward milliseconds of each part, by name; what is neither is "other".

    Args:
        events: of a profiler, with ranges by `name_parts`.
    """
    spent = {name: [0.0, 0.0] for name in (DATA, *PARTS, OPTIMISER, "other")}
    maker: dict[int, str] = {}  # the part that made a node of autograd's graph, by the node's number
    on_host = [event for event in events if event.device_type == DeviceType.CPU]
    first = min(event.time_range.start for event in on_host)
    last = max(event.time_range.end for event in on_host)
    for event in sorted(on_host, key=lambda event: event.time_range.start):
        if event.name.startswith(PREFIX):
            spent[event.name.removeprefix(PREFIX)][0] += _milliseconds(event)
        elif event.name.startswith("autograd::engine::evaluate_function"):
            spent[maker.get(event.sequence_nr, "other")][1] += _milliseconds(event)
        elif event.sequence_nr >= 0:  # the last operator with a number makes the node
            maker[event.sequence_nr] = _part(event)
    spent["other"][0] = (last - first) / 1000 - sum(map(sum, spent.values()))
    return spent


def _milliseconds(event: Any) -> float:
    on_device = torch.cuda.is_available() and event.name != PREFIX + DATA
    return (event.device_time_total if on_device else event.cpu_time_total) / 1000


def _part(event: Any) -> str:
    while event is not None and not event.name.startswith(PREFIX):
        event = event.cpu_parent
    return "other" if event is None else event.name.removeprefix(PREFIX)


def time_table(spent: dict[str, list[float]], steps: int) -> Table:
    """`time_of_parts` as a table with a bar for each share.

    Args:
        spent: milliseconds; steps: of how many steps they are.
    """
    total = sum(map(sum, spent.values()))
    table = Table("part", title=f"a training step: {total / steps:.1f} ms, the mean of {steps}")
    for head in ("forward ms", "backward ms", "share"):
        table.add_column(head, justify="right")
    table.add_column("")
    for name, (forward, backward) in spent.items():
        share = (forward + backward) / total
        shown = f"{backward / steps:.1f}" if backward else ""
        table.add_row(name, f"{forward / steps:.1f}", shown, f"{share:.0%}", "#" * round(share * 30))
    return table
