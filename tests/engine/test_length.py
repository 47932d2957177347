"""How long a run is, and what is said of a short one."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maskrcnn.engine.length import left_out, total_steps


def trainer(**given: Any) -> Any:
    """What these functions ask a trainer."""
    plain = {
        "max_epochs": 3, "max_steps": -1, "accumulate_grad_batches": 1, "log_every_n_steps": 1,
        "val_check_interval": 1.0, "check_val_every_n_epoch": 1, "limit_val_batches": 1.0,
        "limit_train_batches": 1.0,
    }  # fmt: skip
    return SimpleNamespace(**{**plain, **given})


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({}, 21),
        ({"accumulate_grad_batches": 2}, 12),
        ({"max_steps": 9}, 9),
        ({"max_steps": 90}, 21),
        ({"max_steps": 0}, 0),
        ({"max_epochs": -1, "max_steps": 90}, 90),
        ({"max_epochs": None, "max_steps": 90}, 90),
        ({"max_epochs": -1}, 0),
        ({"max_epochs": 0}, 0),
    ],
)
def test_steps_are_those_of_the_epochs_or_as_many_as_asked_for(given: dict[str, Any], steps: int) -> None:
    assert total_steps(trainer(**given), 7) == steps


WITHIN = "trainer.max_steps=9 ends within an epoch, and the last validation is after step 7: give a multiple of 7, or "
BEFORE = "trainer.max_steps=3 ends within an epoch, and the last validation is not before step 7: give a multiple of 7"
SHORT = "schedule.warmup_steps=50 is not over within the run's 21 steps"
UNREACHED = "trainer.max_steps=900 is not reached, as trainer.max_epochs=3 ends the run after 21 steps: for more give "
SILENT = "trainer.log_every_n_steps=50 is more than the run's 21 steps: no training loss will be shown or written"


@pytest.mark.parametrize(
    ("given", "warmup", "said"),
    [
        ({}, 0, []),
        ({}, 50, [SHORT]),
        ({}, 21, [SHORT.replace("50", "21")]),
        ({}, 20, []),
        ({"max_epochs": 1, "limit_train_batches": 7}, 50, []),  # as debug=fast and debug=profile have it
        ({"max_epochs": 1}, 7, [SHORT.replace("50", "7").replace("21", "7")]),
        ({"limit_train_batches": 7}, 50, [SHORT]),  # as debug=overfit has it, which is to learn
        ({"log_every_n_steps": 50}, 0, [SILENT]),
        ({"log_every_n_steps": 21}, 0, []),
        ({"max_steps": 3}, 0, [BEFORE]),
        ({"max_steps": 9}, 0, [WITHIN]),
        ({"max_steps": 14}, 0, []),
        ({"max_steps": 900}, 0, [UNREACHED]),
        ({"max_steps": 9, "limit_val_batches": 0}, 0, []),
        ({"max_steps": 9, "check_val_every_n_epoch": None, "val_check_interval": 9}, 0, []),
        ({"max_steps": 9, "val_check_interval": 1}, 0, []),  # the integer: each batch
    ],
)
def test_what_a_run_is_too_short_for_is_said(given: dict[str, Any], warmup: int, said: list[str]) -> None:
    found = left_out(trainer(**given), 7, warmup)
    assert len(found) == len(said) and all(map(str.startswith, found, said)), found


def test_the_interval_that_is_named_ends_with_the_run() -> None:
    (said,) = left_out(trainer(max_steps=6, accumulate_grad_batches=2), 7, 0)  # 2, 2, 2, 1, 2 and 2 batches
    assert said.endswith("trainer.check_val_every_n_epoch=null +trainer.val_check_interval=11")


def test_a_run_of_steps_alone_is_validated_where_it_says(
    fit: Callable[..., dict[str, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = fit(
        tmp_path / "run", "trainer.max_epochs=null", "trainer.max_steps=5", "trainer.check_val_every_n_epoch=null",
        "+trainer.val_check_interval=5", "callbacks.report=null",
    )  # fmt: skip
    told = capsys.readouterr().out
    assert "; 5 steps of 4 images;" in told and "\nepoch 2, step 5: box AP" in told and "warning: trainer" not in told
    assert "segm/AP" in scores
