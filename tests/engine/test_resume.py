"""A run that was stopped anywhere and resumed ends as one that was not: weights, optimiser, EMA, rate and metrics."""

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from maskrcnn.run_files import receipt_file
from maskrcnn.run_files.resume import finished, read, resolve

Fit = Callable[..., dict[str, float]]
TWO_EPOCHS = ("trainer.max_epochs=2", "callbacks=ema", "callbacks.pictures=null", "logger=csv", "data.val_batch_size=2")
EACH_STEP = "callbacks.last.every_n_steps=1"


class Stop(pl.Callback):
    """Stops a run the n-th time that it comes to a place.

    Args:
        place: "batch" (after its gradients), "step" (before the optimiser's), "validating", "validated" (a batch),
            "ending" (while receipt and report are written).
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

    def on_after_backward(self, *_: Any) -> None:
        self._pass("batch")

    def on_before_optimizer_step(self, *_: Any) -> None:
        self._pass("step")

    def on_validation_batch_start(self, *_: Any) -> None:
        self._pass("validating")

    def on_validation_batch_end(self, *_: Any) -> None:
        self._pass("validated")

    def on_fit_end(self, *_: Any) -> None:
        self._pass("ending")


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
            found[key] = str(value).replace(str(run), "run")

    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    del loaded["maskrcnn"]["config"]
    walk(loaded, "")
    with (run / "metrics" / "metrics.csv").open() as file:
        walk(list(csv.DictReader(file)), "metrics")
    # Lightning keeps the score of the last validation, but does not restore it; nothing reads it.
    return {key.replace(str(run), "run"): value for key, value in found.items() if not key.endswith("current_score")}


def differences(run: Path, other: Path) -> list[str]:
    """The keys in which two runs differ at their ends."""
    a, b = end_of(run), end_of(other)
    assert any(key.startswith("metrics[") for key in a) and any(".optimizer_states" in key for key in a)
    return [key for key in sorted(a.keys() | b.keys()) if key not in a or key not in b or a[key] != b[key]]


def stop_and_resume(fit: Fit, run: Path, stop: Stop, *options: str) -> None:
    """Trains until it is stopped, then on."""
    with pytest.raises(RuntimeError if stop.how is None else SystemExit) as ended:
        fit(run, *options, callback=stop)
    assert stop.how is None or ended.value.code == 128 + stop.how
    fit(run, *options, "resume=auto")


@pytest.fixture(scope="module")
def whole(fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 2 epochs of 4 steps that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(folder, *TWO_EPOCHS)
    return folder


def test_a_run_stopped_within_an_epoch_and_moved_goes_on_with_the_same_bits(
    fit: Fit, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        fit(tmp_path / "before", *TWO_EPOCHS, callback=Stop("step", 6, signal.SIGTERM))
    (tmp_path / "before").rename(tmp_path / "run")
    fit(tmp_path / "run", *TWO_EPOCHS, "resume=auto")
    best = [torch.load(run / "checkpoints" / "best.ckpt", weights_only=True) for run in (whole, tmp_path / "run")]
    assert best[0]["global_step"] == best[1]["global_step"] == 4
    assert differences(whole, tmp_path / "run") == []


def test_a_run_stopped_in_its_sanity_check_has_nothing_to_save_and_is_started_anew(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("trainer.max_steps=1", "trainer.num_sanity_val_steps=-1", "callbacks.pictures=null", "logger=csv")
    stop_and_resume(fit, tmp_path / "run", Stop("validating", 1, signal.SIGTERM), *options)
    said = capsys.readouterr().out
    assert "stopped after step 0 of 1; nothing was saved\n" in said and "going on" not in said
    fit(tmp_path / "whole", *options)
    assert differences(tmp_path / "whole", tmp_path / "run") == []


def test_a_validation_that_an_error_cut_short_is_run_again(fit: Fit, whole: Path, tmp_path: Path) -> None:
    stop_and_resume(fit, tmp_path / "run", Stop("validated", 2, None), *TWO_EPOCHS)
    assert differences(whole, tmp_path / "run") == []


def test_a_validation_within_an_accumulated_step_is_gone_on_with_from_before_that_step(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("trainer.max_epochs=1", "data.batch_size=2", "trainer.accumulate_grad_batches=2")
    options += ("+trainer.val_check_interval=5", "callbacks.pictures=null", "logger=csv")
    fit(tmp_path / "whole", *options)
    capsys.readouterr()
    stop_and_resume(fit, tmp_path / "run", Stop("validating", 1, signal.SIGTERM), *options)
    said = capsys.readouterr().out
    assert "stopped after step 2 of 4" in said and "going on after step 2 of 4" in said
    assert differences(tmp_path / "whole", tmp_path / "run") == []


def test_a_run_that_ends_while_its_report_is_written_goes_on_with_it(fit: Fit, whole: Path, tmp_path: Path) -> None:
    stop_and_resume(fit, tmp_path / "run", Stop("ending", 1, None), *TWO_EPOCHS)
    ends = [receipt_file.read(run)["end"] for run in (whole, tmp_path / "run")]
    assert ends[1]["finished"] and ends[0] | {"seconds": 0} == ends[1] | {"seconds": 0}
    assert differences(whole, tmp_path / "run") == []


def test_without_a_validation_at_the_end_the_report_is_written_all_the_same(fit: Fit, tmp_path: Path) -> None:
    options = ("trainer.max_steps=1", "callbacks.pictures=null", "logger=csv")
    with pytest.raises(RuntimeError):
        fit(tmp_path / "run", *options, callback=Stop("ending", 1, None))
    (tmp_path / "run" / "report.html").unlink()
    fit(tmp_path / "run", *options, "resume=auto")
    assert (tmp_path / "run" / "report.html").is_file()
    end = receipt_file.read(tmp_path / "run")["end"]
    assert end["finished"] and end["steps"] == 1
    assert read(str(tmp_path / "run"))["progress"]["finished"]


# Optimiser steps of one epoch: 4; 2 of 3 + 1 batches; 4, validations after each 2, and an end within an epoch; 3 of
# 3 + 3 + 2 batches whose losses are put together; 4 of 2 batches, validations after each 3 of all batches.
PLAIN, WINDOWS, OFTEN, EXACT, WITHIN = (
    ("trainer.accumulate_grad_batches=1", "data.workers=0"),
    ("trainer.accumulate_grad_batches=3", "data.workers=2"),
    ("+trainer.val_check_interval=0.5", "trainer.max_steps=7", "callbacks.ema=null"),
    (
        "trainer.accumulate_grad_batches=3", "accumulation.exact=true", "data.batch_size=2", "data.workers=2",
        "model.backbone.norm=group", "model.neck.norm=null", "model.mask_head.norm=null",
        "model.box_head.trunk.norm=null",
    ),
    (
        "trainer.accumulate_grad_batches=2", "data.batch_size=2", "trainer.check_val_every_n_epoch=null",
        "+trainer.val_check_interval=3", "callbacks.ema=null",
    ),
)  # fmt: skip
TERM, USR1, INT = signal.SIGTERM, signal.SIGUSR1, signal.SIGINT
STOPS = [
    (PLAIN, [("step", n, TERM) for n in (1, 2, 4, 5, 7, 8)]),
    (PLAIN, [("step", n, None) for n in (2, 5, 8)] + [("validating", 1, None), ("validated", 6, None)]),
    (PLAIN, [("validating", 2, INT), ("validated", 3, TERM), ("validated", 5, USR1)]),
    (WINDOWS, [("batch", n, TERM) for n in (1, 2, 4, 5, 7, 8)]),
    (WINDOWS, [("batch", n, None) for n in (2, 3, 4, 6)] + [("validated", 2, TERM), ("validated", 5, None)]),
    (OFTEN, [("step", n, TERM) for n in (1, 2, 3, 4, 6)]),
    (OFTEN, [("step", 3, None), ("validated", 2, None), ("validated", 4, TERM), ("validated", 9, TERM)]),
    (
        EXACT,
        [("step", n, TERM) for n in (1, 2, 4, 5)] + [("batch", 4, None), ("batch", 8, TERM), ("validated", 2, None)],
    ),
    (WITHIN, [("validating", n, TERM) for n in (1, 2, 4)] + [("validating", 1, None), ("validated", 3, None)]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "stops"), STOPS)
def test_a_run_stopped_anywhere_ends_with_the_same_bits(
    options: tuple[str, ...], stops: list[Any], fit: Fit, tmp_path: Path
) -> None:
    fit(tmp_path / "whole", *TWO_EPOCHS, *options)
    for place, count, how in stops:
        run = tmp_path / f"{place}_{count}_{how}"
        stop_and_resume(fit, run, Stop(place, count, how), *TWO_EPOCHS, *options, EACH_STEP)
        assert differences(tmp_path / "whole", run) == [], run.name


@pytest.mark.slow
def test_a_run_stopped_again_and_again_ends_with_the_same_bits(fit: Fit, whole: Path, tmp_path: Path) -> None:
    for place, count in (("step", 1), ("step", 2), ("validated", 1), ("validated", 3), ("step", 1)):
        with pytest.raises(SystemExit):
            fit(tmp_path / "run", *TWO_EPOCHS, "resume=auto", callback=Stop(place, count, TERM))
    fit(tmp_path / "run", *TWO_EPOCHS, "resume=auto")
    assert differences(whole, tmp_path / "run") == []


def test_a_changed_configuration_goes_on_as_announced(
    fit: Fit, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with pytest.raises(SystemExit):
        fit(run, *TWO_EPOCHS, callback=Stop("step", 3, signal.SIGUSR1))
    capsys.readouterr()
    # Three of four batches of 4, so 6 of 8 in batches of 2, in steps of two batches: the third step of four.
    changed = ("data.batch_size=2", "trainer.accumulate_grad_batches=2", "optimizer.lr=0.001", "trainer.max_epochs=3")
    fit(run, *TWO_EPOCHS, *changed, "resume=auto")
    output = capsys.readouterr().out
    assert "resumed with another optimizer.lr: 0.003 -> 0.001" in output
    assert "an epoch has 8 batches and 4 steps instead of 4 and 4: the run goes on at the same share" in output
    assert "going on after step 3 of 12" in output
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["progress"]["position"]["batches"] == 24 and last["global_step"] == 12
    assert last["optimizer_states"][0]["param_groups"][0]["initial_lr"] == pytest.approx(0.001)
    with (run / "metrics" / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert steps == list(range(12))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.neck.channels=24", "another architecture: .* Use the configuration that it was trained with"),
        ("optimizer=sgd", "torch.optim.AdamW's and means nothing to torch.optim.SGD: keep the optimizer, or start"),
        ("data.class_map={round: [circle]}", "learns the classes circle, square, .* but the data has round: start"),
    ],
)
def test_a_configuration_that_it_cannot_go_on_with_is_refused(
    override: str, message: str, fit: Fit, whole: Path
) -> None:
    before = end_of(whole)
    with pytest.raises(ValueError, match=message):
        fit(whole, *TWO_EPOCHS, "trainer.max_epochs=4", override, f"resume={whole}")
    assert end_of(whole) == before


def test_fewer_epochs_than_are_done_are_refused_before_the_run_is_touched(fit: Fit, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(SystemExit):
        fit(run, *TWO_EPOCHS, "trainer.max_epochs=3", callback=Stop("step", 9, signal.SIGUSR1))
    before = (run / "config.yaml").read_bytes()
    message = "2 epochs of the run are done, more than trainer.max_epochs=1: give 2, which ends it here, or more"
    with pytest.raises(ValueError, match=f"^resume: {message}$"):
        fit(run, *TWO_EPOCHS, "trainer.max_epochs=1", "resume=auto")
    assert (run / "config.yaml").read_bytes() == before  # which a further `resume` remembers


def test_a_finished_run_is_left_alone(fit: Fit, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, told = end_of(whole), [(whole / name).read_bytes() for name in ("config.yaml", "receipt.json")]
    scores = fit(whole, *TWO_EPOCHS, "resume=auto", "data.workers=1")
    assert "nothing to do: the run is at step 8\n" in capsys.readouterr().out
    fit(whole, *TWO_EPOCHS, "resume=auto", "optimizer.lr=0.3")
    told_of = capsys.readouterr().out
    assert told_of.endswith("\nnothing to do: the run is at step 8\n") and "resumed with another" not in told_of
    fit(whole, *TWO_EPOCHS, "resume=auto", "data.workers=1", "trainer.max_steps=8")
    assert "nothing to do: the run is at step 8, where trainer.max_steps=8 ends\n" in capsys.readouterr().out
    assert end_of(whole) == before
    assert [(whole / name).read_bytes() for name in ("config.yaml", "receipt.json")] == told
    logged = [value for key, value in before.items() if key.startswith("metrics[") and key.endswith("segm/AP")]
    assert scores["segm/AP"] == float([value for value in logged if value][-1])
    config = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["maskrcnn"]["config"]
    assert finished(str(whole), config) == pytest.approx(scores, rel=0, abs=0, nan_ok=True)
    assert finished(str(whole), {**config, "seed": 1}) is None
    older = {name: one for name, one in config["callbacks"].items() if name != "report"}
    older["mean_ap"] = {**older["mean_ap"], "workers": 0}  # what `renew` gives a run from before the key existed
    assert config["callbacks"]["mean_ap"]["workers"] != 0
    assert finished(str(whole), {**config, "callbacks": older}) == pytest.approx(scores, rel=0, abs=0, nan_ok=True)


def test_a_file_in_place_of_a_run_is_answered_with_the_folder(whole: Path) -> None:
    for file in ("checkpoints/last.ckpt", "receipt.json"):
        with pytest.raises(
            ValueError, match=f"^resume={whole}/{file} is a file; name the folder of the run: resume={whole}$"
        ):
            resolve(str(whole / file), "elsewhere")


def test_what_is_left_of_a_run_without_its_last_checkpoint_is_named(tmp_path: Path) -> None:
    best, last = (tmp_path / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    best.parent.mkdir()
    best.touch()
    starts = f"There is no {last} to go on from; weights={best} starts from what is there$"
    for resume in (None, "auto"):
        with pytest.raises(ValueError, match=f"run_dir={tmp_path} holds a run already: give another run_dir. {starts}"):
            resolve(resume, str(tmp_path))
    with pytest.raises(ValueError, match=f"there is no {last} to go on from; weights={best} starts another run$"):
        resolve(str(tmp_path), str(tmp_path))
    last.touch()
    with pytest.raises(ValueError, match=f"last.ckpt is not .* it holds nothing. weights={best} starts another run"):
        read(str(tmp_path))


def test_a_warm_up_longer_than_the_run_is_told(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, "trainer.max_steps=1", "trainer.limit_val_batches=0", "schedule.warmup_steps=1")
    said = "schedule.warmup_steps=1 is not over within the run's 1 steps, so the learning rate is never reached"
    assert said in capsys.readouterr().out
