"""Does a run give the same again? Replays its first steps and compares their checksums."""

import contextlib
import io
import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, LearningRateMonitor

from maskrcnn.config.build import build
from maskrcnn.config.compose import check
from maskrcnn.config.later import renew
from maskrcnn.config.launcher import is_main
from maskrcnn.config.nested import changes, moved
from maskrcnn.engine.console import Terminal
from maskrcnn.engine.last_checkpoint import LastCheckpoint
from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.engine.pictures import Pictures
from maskrcnn.engine.progress import Progress
from maskrcnn.engine.receipt import Receipt
from maskrcnn.engine.rules import check_channels
from maskrcnn.engine.run_report import RunReport
from maskrcnn.engine.train import train
from maskrcnn.engine.validation_losses import ValidationLosses
from maskrcnn.run_files import checksum_file, receipt_file
from maskrcnn.run_files.checksum_file import Checksums

TOLERANCE = 1e-4  # relative, of the losses
IDENTICAL, DIFFERENT, WITHIN_TOLERANCE = 0, 1, 3  # exit status
# What writes, tells, or looks at validation; all other callbacks may change what is learnt, and are replayed.
OBSERVERS = (
    Checkpoint,
    EarlyStopping,
    LastCheckpoint,
    LearningRateMonitor,
    MeanAP,
    Pictures,
    Progress,
    RunReport,
    ValidationLosses,
)


class StopAfter(pl.Callback):
    """Ends training after a number of optimiser steps, without changing the schedule as `trainer.max_steps` would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        trainer.should_stop = trainer.should_stop or trainer.global_step >= self.steps


class Comparison(NamedTuple):
    """What two sets of checksums have in common."""

    steps: int  # compared, without step 0
    step: int | None  # the first with other bits; None: all are the same
    parts: list[str]  # of the model whose weights have other bits after that step, in its order
    loss: tuple[str, str] | None  # of that step, kept and replayed, where its bits are others
    agree: int  # the last step up to which losses agree to `TOLERANCE`
    spread: float  # largest relative difference of two losses; infinite where one is not a number


def verify(*, verify: str, plugins: list[str]) -> int:
    """Replays the first 20 steps of a run, or as many as it made, in a temporary folder, and compares.

    Args:
        verify: folder of the run, with receipt.json and checksums.csv.
        plugins: packages besides ours that its configuration may name.

    Returns:
        The exit status: 0 identical, 3 within tolerance (losses agree to 1e-4, bits differ), 1 different.

    Raises:
        ValueError: the run left nothing to compare, or cannot be replayed; the message says why.
    """
    run = Path(verify)
    receipt, kept = receipt_file.read(run), checksum_file.read(run)
    last = comparable(receipt, kept)
    config = {**renew(receipt["config"], run / receipt_file.NAME), "plugins": plugins}
    check(config, train)
    check_channels(config)
    with tempfile.TemporaryDirectory() as folder:
        replay(config, Path(folder), last)
        if not is_main():  # the first of the ranks compares
            return IDENTICAL
        again, replayed = receipt_file.read(Path(folder)), checksum_file.read(Path(folder))
    found = compare(kept, replayed, last)
    console = Terminal(highlight=False, soft_wrap=True)
    console.print(answer(found))
    others = differences(receipt, again, last)
    if others:
        console.print("the run and this replay differ in")
        for line in others:
            console.print(f"- {line}")
    elif found.step is not None:
        console.print("the receipts do not differ: versions, hardware, threads, code, data and starting weights agree")
    if found.step is None:
        return IDENTICAL
    return WITHIN_TOLERANCE if found.spread <= TOLERANCE else DIFFERENT


def comparable(receipt: dict[str, Any], kept: Checksums) -> int:
    """The last step to compare: the first that the run made with its first configuration, up to 20.

    Raises:
        ValueError: there is none.
    """
    changed = [start["step"] for start in receipt["starts"] if start["changed"] and start["step"] is not None]
    steps = [step for step in kept.steps if 0 < step <= min([checksum_file.FIRST, *changed])]
    if 0 not in kept.steps or not steps:
        raise ValueError(
            "the run has no checksums of its first steps: it was resumed from one without a receipt, or ended before "
            "its first step; there is nothing to compare"
        )
    return max(steps)


def replay(config: dict[str, Any], folder: Path, steps: int) -> None:
    """Trains the first steps of a configuration; its receipt and checksums go to `folder`, and nothing to the run's."""
    config = moved(config, config["run_dir"], str(folder))
    config |= {"run_dir": str(folder), "resume": None, "logger": {}}
    config["trainer"] |= {"limit_val_batches": 0, "num_sanity_val_steps": 0, "enable_checkpointing": False}
    made = build(config, config["plugins"])
    made["callbacks"] = {
        **{name: one for name, one in made["callbacks"].items() if not isinstance(one, OBSERVERS)},
        "receipt": Receipt(directory=str(folder), every_n_steps=checksum_file.FIRST),
        "stop": StopAfter(steps),
    }
    with contextlib.redirect_stdout(io.StringIO()):  # what a run says of itself
        train(config, lambda: receipt_file.begin(folder, config, [], None), **made)


def compare(kept: Checksums, replayed: Checksums, last: int) -> Comparison:
    """Compares two runs up to a step. Parts that only one of them has count as different from the start."""
    numbers = [number for number in kept.steps if number <= last]
    spreads = {
        number: _spread(kept.steps[number].loss, replayed.steps[number].loss) if number in replayed.steps else math.inf
        for number in numbers[1:]
    }
    beyond = [number for number, spread in spreads.items() if spread > TOLERANCE]
    agree, spread = (beyond[0] - 1 if beyond else last), max(spreads.values())
    missing = [part for part in kept.parts if part not in replayed.parts]
    missing += [part for part in replayed.parts if part not in kept.parts]
    if missing:
        return Comparison(last, 0, missing, None, agree, spread)
    for number in numbers:
        before, now = kept.steps[number], replayed.steps.get(number, checksum_file.Step("none", ()))
        again = dict(zip(replayed.parts, now.sums))
        parts = [part for part, value in zip(kept.parts, before.sums) if again.get(part) != value]
        if parts or before.loss != now.loss:
            losses = (before.loss, now.loss) if before.loss != now.loss else None
            return Comparison(last, number, parts, losses, agree, spread)
    return Comparison(last, None, [], None, agree, spread)


def _spread(a: str, b: str) -> float:
    if a == b:  # also where both are no number
        return 0.0
    difference = abs(float(a) - float(b)) / max(abs(float(a)), abs(float(b)))
    return difference if math.isfinite(difference) else math.inf


def answer(found: Comparison) -> str:
    """The result in one sentence."""
    if found.step is None:
        return f"identical: {found.steps} steps"
    more = f" and {len(found.parts) - 1} more of its parts" if len(found.parts) > 1 else ""
    where = f" in {found.parts[0]}{more}" if found.parts else ""
    first = f"first different at step {found.step}{where}"
    if found.step == 0:
        first += ", the starting weights"
    elif found.loss is not None:
        first += f"; the loss before it was {found.loss[0]}, now {found.loss[1]}"
    else:
        first += "; the loss before it is the same"
    if found.spread <= TOLERANCE:
        return (
            f"within tolerance: the losses of {found.steps} steps agree to {found.spread:.1e}, at most {TOLERANCE:g} "
            f"is allowed, but bits differ: {first}"
        )
    agree = f"agree to {TOLERANCE:g} up to step {found.agree}" if found.agree else f"differ by more than {TOLERANCE:g}"
    return f"{first}. Of {found.steps} steps, the losses {agree}{' only' if found.agree else ' from the first on'}"


def differences(before: dict[str, Any], now: dict[str, Any], last: int) -> list[str]:
    """Where a run's receipt differs from that of its replay, "key: run -> replay" each; changed data comes first.

    Args:
        before, now: receipts; last: the step up to which starts of the run count.
    """
    again = now["starts"][0]
    starts = [start for start in before["starts"] if start["step"] is not None and start["step"] < last]
    found: dict[str, None] = {}  # in order, each once
    for start in starts:
        changed = receipt_file.changed_data(start["data"] or {}, again["data"])
        found |= dict.fromkeys(f"the data: {what} changed since the run" for what in changed)
    if before["starting_weights"] != now["starting_weights"]:
        found["the starting weights: weights=, the seed's draws or the model's code changed"] = None
    for start in starts:
        for key in ("hardware", "versions"):
            found |= dict.fromkeys(f"{key}.{line}" for line in changes(start[key], again[key]))
        if start["commit"] != again["commit"]:
            found[f"commit: {start['commit']} -> {again['commit']}"] = None
        if start["diff_sha256"] != again["diff_sha256"]:
            found["uncommitted changes of tracked files"] = None
    return list(found)
