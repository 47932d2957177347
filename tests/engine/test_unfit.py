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
