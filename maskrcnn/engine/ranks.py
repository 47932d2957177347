"""The processes of one run, each with its own device and batches: what they tell each other."""

import functools
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import Tensor

T = TypeVar("T")


def number() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@functools.cache
def _on_cpu() -> Any:
    """The processes as a group that talks without their devices; all must ask for it together."""
    return dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")


def add(values: Tensor) -> Tensor:
    """The sum of the tensors that the ranks give, alike in shape; in place."""
    if number() > 1:
        dist.all_reduce(values)
    return values


def share(tensors: Iterable[Tensor]) -> None:
    """Gives the tensors of all ranks the values of rank 0, in place."""
    if number() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def highest(value: int) -> int:
    """The highest of the values that the ranks give. The devices do not wait for it."""
    if number() == 1:
        return value
    found = torch.tensor(value)
    dist.all_reduce(found, dist.ReduceOp.MAX, group=_on_cpu())
    return int(found)


def collect(value: T) -> list[T]:
    """The values that the ranks give, in their order, on rank 0; none on the others."""
    if number() == 1:
        return [value]
    found: list[T] | None = [value] * number() if dist.get_rank() == 0 else None
    dist.gather_object(value, found, group=_on_cpu())
    return found or []


def gather(parts: dict[int, T]) -> dict[int, T]:
    """What all ranks know by picture, in the order of the pictures, on rank 0; nothing on the others."""
    if number() == 1:
        return parts
    return dict(sorted({index: value for part in collect(parts) for index, value in part.items()}.items()))


def from_main(value: T) -> T:
    """The value that rank 0 gives."""
    if number() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, group=_on_cpu())
    return box[0]


def check_pictures(pictures: int, part: str, ranks: int) -> None:
    """Makes sure that each rank gets a picture: one without would not take part, and the others wait for it.

    Raises:
        ValueError: there are fewer; `part` says of what.
    """
    if pictures < ranks:
        raise ValueError(f"{pictures} {part} pictures are too few for {ranks} ranks: lower trainer.devices")


@contextmanager
def together(trainer: pl.Trainer) -> Iterator[None]:
    """Within it, an error of one rank ends all those that Lightning started: else they would wait for one another.

    torchrun ends the others itself, and so does `srun --kill-on-bad-exit`.

    Raises:
        ValueError: another rank is gone.
    """
    # Before each step Lightning asks rank 0 for a SIGTERM, and the device is waited for; `Interruption` asks all ranks,
    # on the CPU.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    try:
        yield
    except SystemExit:
        if trainer.is_global_zero:
            raise
        raise SystemExit(0) from None  # Lightning would kill rank 0 for it, which speaks for all
    except Exception as error:
        launcher = trainer.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):
            launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows lacks it
        if "gloo/transport" in str(error):
            raise ValueError(
                "another rank ended, and says why unless it was killed, as where memory is full; so this one stops"
            ) from error
        raise
