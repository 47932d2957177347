"""Ending a run early, and saying why."""

from collections.abc import Callable
from pathlib import Path

import pytest

Fit = Callable[..., dict[str, float]]


def test_a_run_that_does_not_get_better_stops_and_says_so(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # No AP can rise by 2: the first validation is the best, the second ends the run.
    options = (
        "callbacks=early_stopping",
        "callbacks.early_stopping.patience=1",
        "callbacks.early_stopping.min_delta=2",
    )
    short = ("trainer.max_epochs=4", "trainer.limit_train_batches=1", "schedule.warmup_steps=0", "schedule.final=0.0")
    fit(tmp_path / "run", *options, *short, "callbacks.pictures=null", "logger=csv")
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("stopped early"))
    # Half of a cosine is over.
    assert line == (
        "stopped early, after step 2 of 4. Monitored metric segm/AP did not improve in the last 1 records. Best score: "
        "0.000. The learning rate was at 50% of its peak; trainer.max_epochs=2 lets it fall in as many steps"
    )
    fit(tmp_path / "full", *options, *short, "trainer.max_epochs=2", "callbacks.pictures=null", "logger=csv")
    assert "stopped early" not in capsys.readouterr().out  # at its last step, which is not early


def test_a_run_that_ends_before_its_first_validation_ends_well(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path / "run", "callbacks=early_stopping", "trainer.max_steps=2", "callbacks.pictures=null", "logger=csv")
    assert "ends within an epoch, and the last validation is not before step 4" in capsys.readouterr().out
