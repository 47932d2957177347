"""A trial is trained once, goes on where it was stopped, and says how it went."""

import json
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from maskrcnn.engine.interruption import Stopped
from maskrcnn.sweep.result import Result, read_about, read_result, write_result
from maskrcnn.sweep.trial import Pruned, visit

RESULT = Result("finished", "", {"segm/AP": 0.5}, 1.5, ["aaa"], 1, 1.0)
ABOUT = {"overrides": ["seed=0"], "choices": {}, "config": {"seed": 0, "plugins": []}}


class Training:
    """Stands for a run: counts how often it is asked for, and with what."""

    def __init__(self, raised: BaseException | None = None) -> None:
        self.resumed: list[str | None] = []
        self.raised = raised

    def __call__(self, resume: str | None) -> dict[str, float]:
        self.resumed.append(resume)
        if self.raised is not None:
            raise self.raised
        return {"segm/AP": 0.5, "segm/APl": float("nan"), "train/loss": 1.0}


def asked(folder: Path, training: Training, commit: str = "aaa") -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maskrcnn.sweep.trial.code_version", lambda: commit)
        return visit(folder, ABOUT, training)


def saved(folder: Path) -> Path:
    """Leaves the checkpoint of a run that was stopped."""
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    return path


def test_a_finished_trial_is_not_trained_again(tmp_path: Path) -> None:
    training = Training()
    first, second = asked(tmp_path, training), asked(tmp_path, training)
    assert training.resumed == [None]
    assert first == second and first.status == "finished" and first.scores == {"segm/AP": 0.5}


def test_a_trial_of_another_commit_is_kept_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = Training()
    asked(tmp_path, training)
    assert "NOTE" not in capsys.readouterr().out
    assert asked(tmp_path, training, "bbb").commits == ["aaa"] and training.resumed == [None]
    assert f"it is of commit aaa, this is bbb; to train it anew, delete {tmp_path}" in capsys.readouterr().out


def test_a_stopped_trial_goes_on_and_adds_its_time_and_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        asked(tmp_path, Training(SystemExit(130)))
    assert f"to go on, repeat the same command: it goes on with this trial, {tmp_path}," in capsys.readouterr().out
    stopped = read_result(tmp_path)
    assert stopped is not None and stopped.status == "interrupted"
    write_result(tmp_path, stopped._replace(seconds=100.0))
    saved(tmp_path)
    training = Training()
    result = asked(tmp_path, training, "bbb")
    assert training.resumed == [str(tmp_path)] and result.commits == ["aaa", "bbb"] and result.starts == 2
    assert 100 <= result.seconds < 110


def test_the_time_of_a_killed_trial_counts_until_its_checkpoint(tmp_path: Path) -> None:
    path = saved(tmp_path)
    began = time.time() - 1000
    write_result(tmp_path, Result("running", "", {}, 7.0, ["aaa"], 1, began))
    os.utime(path, (began + 60, began + 60))
    assert 67 <= asked(tmp_path, Training()).seconds < 77


def test_what_was_left_before_the_first_checkpoint_is_put_away(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").write_bytes(b"")
    training = Training()
    asked(tmp_path, training)
    assert training.resumed == [None] and not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("error", "why"),
    [(KeyError("x"), "KeyError: 'x'"), (AssertionError(), "AssertionError"), (OSError("no disk"), "no disk")],
)
def test_an_error_of_a_program_is_named_by_its_kind_in_the_reason(error: Exception, why: str, tmp_path: Path) -> None:
    assert asked(tmp_path, Training(error)).reason == why


def test_a_failed_trial_says_why_and_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = asked(tmp_path, Training(ValueError("too small")))
    assert (failed.status, failed.reason) == ("failed", "too small")
    said = capsys.readouterr().err
    assert "error: too small" in said and "Traceback" not in said
    asked(tmp_path, Training(RuntimeError("out of memory")))
    assert "Traceback" in capsys.readouterr().err  # it is nobody's mistake in a configuration
    assert asked(tmp_path, Training()).status == "finished"


def test_a_signal_at_the_end_of_a_trial_stops_what_comes_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Stopped):
        asked(tmp_path, Training(Stopped(130, tmp_path, {"segm/AP": 0.5})))
    assert capsys.readouterr().out == "stopped; to go on, repeat the same command: it skips finished trials\n"
    kept = read_result(tmp_path)
    assert kept is not None and (kept.status, kept.scores) == ("finished", {"segm/AP": 0.5})


def test_a_pruned_trial_is_done(tmp_path: Path) -> None:
    assert asked(tmp_path, Training(Pruned("below the median"))).status == "pruned"
    training = Training()
    assert asked(tmp_path, training).reason == "below the median" and training.resumed == []


def test_a_trial_that_another_process_trains_is_left_to_it(tmp_path: Path) -> None:
    training = Training()
    with FileLock(tmp_path / "trial.lock"):
        assert asked(tmp_path, training).status == "running"
    assert training.resumed == []


def test_the_scores_of_a_run_with_nothing_left_to_do_are_as_logged(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "metrics_1.csv").write_text("epoch,segm/AP,step\n0,0.25,3\n1,0.5,7\n")
    saved(tmp_path)
    result = visit(tmp_path, ABOUT, lambda resume: {})
    assert result.scores == {"segm/AP": 0.5}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "Expected `object`, got `array`"),
        ('{"status": "finished"}', "Object missing required field `reason`"),
        (json.dumps({**RESULT._asdict(), "seconds": "x"}), r"Expected `float`, got `str` - at `\$.seconds`"),
        (json.dumps({**RESULT._asdict(), "scores": [1]}), r"Expected `object`, got `array` - at `\$.scores`"),
        ("[" * 100_000, "maximum recursion depth"),
    ],
)
def test_a_broken_result_is_told(text: str, why: str, tmp_path: Path) -> None:
    write_result(tmp_path, RESULT)
    assert read_result(tmp_path) == RESULT
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match=rf"result\.json is broken \({why}.*\): delete it, and repeat the command of"):
        read_result(tmp_path)


def test_a_broken_description_of_a_trial_is_told(tmp_path: Path) -> None:
    (tmp_path / "trial.json").write_text('{"overrides": "x", "choices": {}, "config": {}}')
    with pytest.raises(ValueError, match=rf"trial\.json is broken \(.* - at `\$.overrides`\): delete {tmp_path} as a"):
        read_about(tmp_path)
