"""Sweeps as a user starts them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from maskrcnn.run_files import checkpoint

Command = Callable[..., subprocess.CompletedProcess[str]]
SWEEP = ("debug=fast", "callbacks.pictures=null", "logger=csv")


def results(folder: Path) -> dict[float, tuple[Path, dict]]:
    """Folder and result of each trial, by its learning rate."""
    found = {}
    for path in folder.glob("*/result.json"):
        about = json.loads((path.parent / "trial.json").read_text())
        found[about["config"]["optimizer"]["lr"]] = (path.parent, json.loads(path.read_text()))
    return found


@pytest.fixture(scope="module")
def sweep(command: Command, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of a sweep over three learning rates, one of which is far too high, and what it printed."""
    folder = tmp_path_factory.mktemp("sweep")
    done = command("train.py", "-m", *SWEEP, "optimizer.lr=0.001,1e30,0.002", cwd=folder)
    (folder,) = (folder / "multirun").iterdir()
    return folder, done


def test_each_trial_lies_in_its_folder_and_a_failing_one_stops_no_other(
    sweep: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = sweep
    assert done.returncode == 1 and "error: the loss of step 2 is not finite; " in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not list(folder.rglob("*.log"))
    trials = results(folder)
    assert {rate: result["status"] for rate, (_, result) in trials.items()} == {
        0.001: "finished", 1e30: "failed", 0.002: "finished",
    }  # fmt: skip
    states = [checkpoint.read(trials[rate][0] / "checkpoints" / "last.ckpt") for rate in (0.001, 0.002)]
    assert [state["maskrcnn"]["config"]["optimizer"]["lr"] for state in states] == [0.001, 0.002]
    assert any(not value.equal(states[1]["state_dict"][key]) for key, value in states[0]["state_dict"].items())
    assert "this time: 2 trained, 0 resumed, 0 skipped, 1 failed" in done.stdout
    assert "failed: optimizer.lr=1e+30 (the loss of step 2 is not finite; " in done.stdout
    assert "report.html" in done.stdout and (folder / "report.html").is_file()


def test_the_same_command_with_more_values_trains_only_what_is_missing(
    sweep: tuple[Path, subprocess.CompletedProcess[str]], command: Command
) -> None:
    folder = sweep[0]
    before = results(folder)
    path = before[0.002][0] / "result.json"  # as if the process had been killed after its last checkpoint
    path.write_text(json.dumps({**before[0.002][1], "status": "running", "scores": {}}))
    done = command(
        "train.py", "-m", *SWEEP, "optimizer.lr=0.001,0.002,0.003", "data.workers=1", cwd=folder.parent.parent
    )
    assert done.returncode == 0, done.stderr
    assert "this time: 1 trained, 1 resumed, 1 skipped, 0 failed" in done.stdout
    after = results(folder)
    assert after[0.001] == before[0.001] and after.keys() == {0.001, 0.002, 1e30, 0.003}
    scores = [trials[0.002][1]["scores"] for trials in (before, after)]
    assert [scores[1].get(kind) for kind in ("segm/AP", "bbox/AP")] == [
        scores[0].get(kind) for kind in ("segm/AP", "bbox/AP")
    ]


def test_in_the_folder_of_a_sweep_its_trials_are_found_whatever_varies_now(
    sweep: tuple[Path, subprocess.CompletedProcess[str]], command: Command
) -> None:
    folder = sweep[0]
    done = command(
        "train.py", "-m", *SWEEP, "optimizer.lr=0.001", f"hydra.sweep.dir={folder}", cwd=folder.parent.parent
    )
    assert done.returncode == 0 and "this time: 0 trained, 0 resumed, 1 skipped, 0 failed" in done.stdout, done.stderr


def test_a_report_is_made_at_any_time(
    sweep: tuple[Path, subprocess.CompletedProcess[str]], command: Command, tmp_path: Path
) -> None:
    done = command("sweep_report.py", str(sweep[0]), cwd=tmp_path, tiny=False)
    assert done.returncode == 0 and "trials, " in done.stdout, done.stderr
    missing = command("sweep_report.py", str(tmp_path), cwd=tmp_path, tiny=False)
    assert missing.returncode == 1 and missing.stderr.startswith(f"error: {tmp_path} holds no trials of a sweep")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["optimizer.lr=0.01,abc", "seed=range(0,3)"],
            "error: a trial with optimizer.lr=abc cannot be: 'optimizer.lr' is 'abc', but must be float\n",
        ),
        (
            ["trainer.max_epochs=abc,abd"],  # of a class of Lightning's, which is imported for it
            "error: a trial with trainer.max_epochs=abc cannot be: 'trainer.max_epochs' is 'abc', but must be int or "
            "null\n",
        ),
        (
            ["neck=glob(fpn_*)", "optimizer.lr=abc"],
            "error: a trial with neck=fpn_no_p6 optimizer.lr=abc cannot be: 'optimizer.lr' is 'abc', but must be "
            "float\n",
        ),
        (
            ["optimizer.lr=interval(0,1)"],
            "error: optimizer.lr=interval(0,1): a sweep needs values, such as optimizer.lr=0.1,0.2; search.py takes "
            "ranges\n",
        ),
        (["optimizer.lrr=1,2"], "error: unknown key 'optimizer.lrr'. Did you mean optimizer.lr?\n"),
        (
            ["neck=fpn_small,fnp"],
            "error: a trial with neck=fnp cannot be: there is no neck=fnp. Did you mean fpn? Choices: fpn, fpn_no_p6, "
            "fpn_small\n",
        ),
        (
            ["seed=1,2", "trainer.devices=2"],
            "error: a trial with seed=1 trainer.devices=2 cannot be: a sweep (-m) runs on one device, but "
            "trainer.devices is 2 and trainer.num_nodes 1: start each trial by a command of its own\n",
        ),
        (
            ["neck=glob(q*)"],
            "error: neck=glob(q*) stands for no value at all, so that there is nothing to try\n",
        ),
        (
            ["seed=1,2", "model.rpn.nms_threshold=0.5,7"],
            "error: a trial with model.rpn.nms_threshold=7 cannot be: model.rpn.nms_threshold is 7; give a number from "
            "0 to 1\n",
        ),
        (  # which the part itself says as it is made
            ["seed=1,2", "optimizer.lr=0.1,-0.2"],
            "error: a trial with optimizer.lr=-0.2 cannot be: optimizer.lr is -0.2; give more than 0\n",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_trial(
    overrides: list[str], message: str, command: Command, tmp_path: Path
) -> None:
    done = command("train.py", "-m", *overrides, cwd=tmp_path, tiny=False)
    assert (done.returncode, done.stderr) == (1, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["neck=fpn_small,mine", "model.neck.gates=1,2"], "a trial with neck=fpn_small cannot be: unknown key "
         "'model.neck.gates'. Known: channels, extra_level, norm, norm_eps."),
        (["neck=mine", "model.neck.gate=1,2"], "unknown key 'model.neck.gate'. Did you mean model.neck.gates?"),
        (["neck=mine", "model.neck.gates=1,x"], "a trial with model.neck.gates=x cannot be: 'model.neck.gates' is 'x', "
         "but must be int"),
        (["neck=mine", "model.neck._target_=mine.Neck,mine.Nek"], "a trial with model.neck._target_=mine.Nek cannot "
         "be: model.neck._target_: mine has no 'Nek'. Did you mean Neck?"),
    ],
)  # fmt: skip
def test_parts_of_ones_own_are_checked_before_the_first_trial_too(
    overrides: list[str], message: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "conf" / "neck").mkdir(parents=True)
    (tmp_path / "conf/neck/mine.yaml").write_text(
        "# @package model.neck\n_target_: mine.Neck\n_partial_: true\nchannels: 16\ngates: 1\n"
    )
    (tmp_path / "mine.py").write_text(
        "class Neck:\n    def __init__(self, in_channels, in_strides, *, channels: int, gates: int) -> None: ...\n"
    )
    done = command("train.py", "--config-dir=conf", "-m", "plugins=[mine]", *overrides, cwd=tmp_path, tiny=False)
    assert (done.returncode, done.stderr) == (1, f"error: {message}\n")
    assert not (tmp_path / "multirun").exists()


def test_a_run_keeps_its_report(command: Command, tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text("{}")
    done = command("train.py", "-m", "seed=1,2", "hydra.sweep.dir=.", cwd=tmp_path, tiny=False)
    assert done.returncode == 1 and "holds a run, whose report.html a sweep would write over" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["receipt.json"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_trials_of_other_launchers_are_counted_and_skipped_alike(
    launcher: str, command: Command, tmp_path: Path
) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher", reason=f"no {launcher} launcher")
    under = ("train.py", "-m", *SWEEP, f"hydra/launcher={launcher}")
    first = command(*under, "optimizer.lr=0.001,1e30,0.002", cwd=tmp_path)
    assert first.returncode == 1 and "this time: 2 trained, 0 resumed, 0 skipped, 1 failed" in first.stdout
    second = command(*under, "optimizer.lr=0.001,0.002", cwd=tmp_path)
    assert second.returncode == 0 and "this time: 0 trained, 0 resumed, 2 skipped, 0 failed" in second.stdout


def test_a_sweep_goes_on_by_itself(command: Command, tmp_path: Path) -> None:
    done = command("train.py", "-m", "seed=0,1", "resume=runs/a", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        "error: resume=... is for a run alone; a sweep goes on where it was stopped: repeat its command without it"
    )
    assert not list(tmp_path.glob("multirun/*/*/checkpoints"))


def test_a_search_is_no_sweep(command: Command, tmp_path: Path) -> None:
    done = command("search.py", "-m", "space={seed:[1,2]}", cwd=tmp_path, tiny=False)
    message = "error: a search tries settings by itself: leave out -m, and name what to vary in space=...\n"
    assert (done.returncode, done.stderr) == (1, message)
    assert list(tmp_path.iterdir()) == []
