"""A search proposes, prunes, goes on, and refuses what does not fit, with a stand-in for training."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

pytest.importorskip("optuna", reason="needs the extra optuna")

from maskrcnn.config.compose import compose
from maskrcnn.engine.after_validation import AfterValidation
from maskrcnn.sweep.collect import collect
from maskrcnn.sweep.search import search

SPACE = {"optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True}}


class Training:
    """Stands for runs of four epochs whose mask AP is the same after each: by turns 0.5 and 0.1."""

    def __init__(self, stopped_in: int | None = None, scores: tuple[float, ...] = (0.5, 0.1)) -> None:
        self.asked: list[list[str]] = []
        self.stopped_in = stopped_in
        self.scores = scores

    def __call__(
        self, config: DictConfig, resume: str | None, overrides: list[str], told: AfterValidation
    ) -> dict[str, float]:
        score = self.scores[len(self.asked) % len(self.scores)]
        self.asked.append(overrides)
        for epoch in range(1, 5):
            told.tell(epoch, score, epoch == 4)
            if len(self.asked) - 1 == self.stopped_in and epoch == 2:
                raise KeyboardInterrupt
        return {"segm/AP": score}


def searched(folder: Path, training: Training, **changed: Any) -> bool:
    asked: dict[str, Any] = {
        "space": SPACE, "trials": 2, "override": ["seed=3"], "pruner": "median", "startup_trials": 1, "seed": 0,
        "folder": str(folder), "plugins": [],
    }  # fmt: skip
    return search(training, **{**asked, **changed})


def states(folder: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / "search.db")) as record:
        return [state for (state,) in record.execute("SELECT state FROM trials ORDER BY number")]


def test_a_bad_trial_is_pruned_and_the_best_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = Training()
    assert searched(tmp_path, training)
    assert states(tmp_path) == ["COMPLETE", "PRUNED"]
    said = capsys.readouterr().out
    assert "this time: 1 trained, 0 resumed, 0 repeated, 1 pruned, 0 failed" in said
    assert f"best: mask AP 0.500 with {training.asked[0][1]}, in {tmp_path}" in said
    results = {trial.overrides["optimizer.lr"]: trial.result for trial in collect(tmp_path)}
    pruned = results[training.asked[1][1].partition("=")[2]]
    assert pruned is not None and (pruned.status, pruned.reason) == ("pruned", "by the search after epoch 1")
    assert all(asked[0] == "seed=3" for asked in training.asked)


def test_an_interrupted_search_goes_on_with_the_same_trial_and_proposals(tmp_path: Path) -> None:
    whole, before, after = Training(), Training(stopped_in=0), Training()
    parts = tmp_path / "50%20 sure?"
    searched(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        searched(parts, before)
    assert states(parts) == ["RUNNING"]
    searched(parts, after)
    assert after.asked == whole.asked and before.asked == whole.asked[:1]
    assert states(parts) == states(tmp_path / "whole")


def test_a_setting_is_not_trained_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = Training(scores=(0.5,))
    searched(tmp_path, training, space={"optimizer.lr": [0.001, 0.002]}, trials=3)
    assert sorted(asked[1] for asked in training.asked) == ["optimizer.lr=0.001", "optimizer.lr=0.002"]
    assert "2 trained, 0 resumed, 1 repeated, 0 pruned" in capsys.readouterr().out
    assert states(tmp_path) == ["COMPLETE"] * 3


def test_texts_reach_the_trials_as_they_are(tmp_path: Path) -> None:
    training = Training(scores=(0.5,))
    searched(tmp_path, training, space={"data.root": ["Bäume/a b", "true"]}, trials=6)
    assert {compose(asked).data.root for asked in training.asked} == {"Bäume/a b", "true"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"space": {"optimizer.lrr": [0.1]}}, "unknown key 'optimizer.lrr'. Did you mean optimizer.lr?"),
        ({"space": {"backbone": ["tiny", "resnet8"]}}, "there is no backbone=resnet8. Did you mean resnet"),
        (
            {"space": {"model.box_head.nms_threshold": {"low": 0.3, "high": 1.5}}},
            "a trial with model.box_head.nms_threshold=1.5 cannot be: model.box_head.nms_threshold is 1.5; give",
        ),
        (
            {"space": {"optimizer.lr": {"low": 0.0, "high": 0.1}}},
            "a trial with optimizer.lr=0.0 cannot be: optimizer.lr is 0.0; give more than 0",
        ),
        ({"space": {"optimizer.lr": {"low": 1, "high": 2, "lg": True}}}, "unknown 'lg'. Did you mean log?"),
        ({"space": {"optimizer.lr": 0.1}}, "space: optimizer.lr is 0.1; give choices"),
        ({"space": {"optimizer.lr": {"low": 2, "high": 1}}}, "space: optimizer.lr is {'low': 2, 'high': 1}: "),
        ({"space": {"seed": [0, 1]}}, "seed stands in space and in override; leave it out of one"),
        ({"space": {}}, "space is empty"),
        ({"override": ["trainer.devices=2"]}, "cannot be: a sweep (-m) runs on one device, but trainer.devices is 2"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_trial(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    training = Training()
    with pytest.raises(ValueError) as refused:
        searched(tmp_path / "new", training, **changed)
    assert message in str(refused.value)
    assert training.asked == [] and not (tmp_path / "new").exists()


def test_the_folder_of_a_run_is_no_place_for_a_search(tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text("{}")
    training = Training()
    with pytest.raises(ValueError, match="holds a run, whose report.html a sweep would write over: give another"):
        searched(tmp_path, training)
    assert training.asked == [] and [path.name for path in tmp_path.iterdir()] == ["receipt.json"]
