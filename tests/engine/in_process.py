"""Trains the tiny model within the test's process, stops it where a test says, and tells all that a run ends with."""

import csv
import os
import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from maskrcnn.config.build import build
from maskrcnn.config.compose import check, compose, portable, to_plain
from maskrcnn.engine.resume import resolve
from maskrcnn.engine.train import train
from tests.engine.conftest import TINY

FAST = ["callbacks.pictures=null", "logger=csv", "data.val_batch_size=2", "trainer.max_epochs=2"]


class Stop(pl.Callback):
    """Stops a run the n-th time that it comes to a place.

    Args:
        place: "batch" (gradients of it), "step" (before the optimiser's), "validating" or "validated" (a batch).
        count: the n-th time; how: a signal to this process, or None for an error.
    """

    def __init__(self, place: str, count: int, how: signal.Signals | None) -> None:
        self.place, self.count, self.how = place, count, how

    def _pass(self, place: str) -> None:
        self.count -= place == self.place
        if self.count == 0 and place == self.place:
            if self.how is None:
                raise RuntimeError("planted")
            os.kill(os.getpid(), self.how)

    def on_before_backward(self, *_: Any) -> None:
        self._pass("batch")

    def on_before_optimizer_step(self, *_: Any) -> None:
        self._pass("step")

    def on_validation_batch_start(self, *_: Any) -> None:
        self._pass("validating")

    def on_validation_batch_end(self, *_: Any) -> None:
        self._pass("validated")


def run_train(root: Path, run: Path, *overrides: str, stop: Stop | None = None) -> dict[str, float]:
    """Trains; with resume=auto goes on."""
    config = compose([*TINY, *FAST, f"data.root={root}", f"run_dir={run}", *overrides])
    plain = to_plain(config)
    plain["resume"] = resolve(plain["resume"], plain["run_dir"])
    check(plain, train)
    parts = build(plain, [])
    if stop is not None:
        parts["callbacks"]["stop"] = stop
    return train(portable(config), **parts)


def end_of(run: Path) -> dict[str, Any]:
    """All that a run ends with, by key: weights, optimiser, EMA, schedule, counters, callbacks' states and metrics."""
    found: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, child in value.items():
                walk(child, f"{key}.{name}")
        elif isinstance(value, (list, tuple)):
            for i, child in enumerate(value):
                walk(child, f"{key}[{i}]")
        elif isinstance(value, torch.Tensor):
            found[key] = (value.dtype, value.shape, value.numpy().tobytes())
        else:
            found[key] = str(value)

    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    del loaded["maskrcnn"]["config"]
    walk(loaded, "")
    with (run / "metrics" / "metrics.csv").open() as file:
        walk(list(csv.DictReader(file)), "metrics")
    # Lightning keeps the score of the last validation, but does not restore it; nothing reads it.
    named = {key.replace(str(run), "run"): value for key, value in found.items() if not key.endswith("current_score")}
    return {k: v.replace(str(run), "run") if isinstance(v, str) else v for k, v in named.items()}


def differences(run: Path, other: Path) -> list[str]:
    """The keys in which two runs differ at their ends."""
    a, b = end_of(run), end_of(other)
    assert any(key.startswith("metrics[") for key in a) and any(".optimizer_states" in key for key in a)
    return [key for key in sorted(a.keys() | b.keys()) if key not in a or key not in b or a[key] != b[key]]
