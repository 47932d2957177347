"""What Lightning refuses once a run is under way."""

from collections.abc import Callable
from pathlib import Path

import pytest

SHORT = ("trainer.max_epochs=1", "callbacks.pictures=null", "logger=csv")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["trainer.limit_val_batches=0.5"],
            "^trainer: You requested to check 0.5 of the `val_dataloader` but 0.5 .* 1",
        ),
        (["callbacks.best.monitor=my/metric"], r"^trainer: `ModelCheckpoint\(monitor='my/metric'\)` could not find"),
        (
            ["callbacks=early_stopping", "callbacks.early_stopping.monitor=my/metric"],
            "^callbacks: Early stopping conditioned on metric `my/metric` which is not available",
        ),
    ],
)
def test_it_ends_in_a_sentence(
    overrides: list[str], message: str, fit: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", *SHORT, *overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.limit_train_batches=1.5", "^trainer: You have passed invalid value 1.5 for limit_train_batches"),
        ("optimizer.algorithm.betas=[2,0.9]", "^optimizer.algorithm: Invalid beta parameter at index 0: 2$"),
        ("weights=nowhere.pth", "^weights=nowhere.pth: there is no such file, nor a known name"),
    ],
)
def test_what_needs_no_data_is_said_before_there_is_any(
    override: str, message: str, fit: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", *SHORT, f"data.root={tmp_path}/shapes", override)
    assert list(tmp_path.iterdir()) == []


def test_tasks_of_slurm_that_are_not_of_a_node_end_in_a_sentence(
    fit: Callable[..., dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {"NTASKS": "4", "JOB_ID": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0", "JOB_NAME": "train"}
    for name, value in numbers.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(ValueError, match="^Slurm: You set `--ntasks=4` .* Use `--ntasks-per-node=4` instead"):
        fit(tmp_path / "run", *SHORT)
