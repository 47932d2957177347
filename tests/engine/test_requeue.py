"""Runs as a scheduler has them: processes that are killed or told to stop, and started again by the same command."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from maskrcnn.run_files import checkpoint
from tests.engine.test_resume import differences

Command = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
SLURM = {"SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_PROCID": "0",
         "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_ID": "0"}  # fmt: skip


def stop_at(step: str, number: signal.Signals, process: subprocess.Popen[str]) -> str:
    """Sends a signal when a line of progress shows a step, and returns all that the process printed to its end."""
    assert process.stdout is not None
    output = ""
    while f"step {step}" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    process.send_signal(number)
    output += process.communicate()[0]
    return output


@pytest.mark.slow
def test_a_requeued_slurm_job_goes_on_in_its_folder(
    run: Path, start: Start, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    same = ("train.py", "resume=auto", "trainer.max_epochs=2")
    first = start(*same, "callbacks.progress.every_n_steps=1", cwd=tmp_path)
    output = stop_at("2/8", signal.SIGUSR1, first)
    assert first.returncode == 128 + signal.SIGUSR1, output
    folder = tmp_path / "runs" / "job_77"
    assert f"{folder}/checkpoints/last.ckpt is written\n" in output
    assert f"\nto go on: python train.py resume={folder}\n" in output
    assert not list(tmp_path.rglob("hpc_ckpt*"))  # Lightning's, from within the handler
    assert 2 <= checkpoint.read(folder / "checkpoints" / "last.ckpt")["global_step"] < 8
    done = command(*same, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "going on after step" in done.stdout and "warning: " not in done.stderr, done.stderr
    assert "resumed with another callbacks.progress.every_n_steps: 1 -> 2" in done.stdout
    assert differences(run, folder) == []
    again = command(*same, cwd=tmp_path)
    assert again.returncode == 0 and "is finished: nothing to do" in again.stdout, again.stdout + again.stderr
    assert differences(run, folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("step", ["1/8", "3/8", "6/8"])
def test_a_killed_run_goes_on_from_the_last_border_that_was_saved(
    step: str, run: Path, start: Start, command: Command, tmp_path: Path
) -> None:
    options = ("train.py", "run_dir=cut", "resume=auto", "trainer.max_epochs=2", "callbacks.last.every_n_steps=1")
    first = start(*options, "callbacks.progress.every_n_steps=1", cwd=tmp_path)
    stop_at(step, signal.SIGKILL, first)
    assert first.returncode == -signal.SIGKILL
    done = command(*options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert differences(run, tmp_path / "cut") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["resume=nowhere"],
            "error: resume=nowhere: there is no nowhere/checkpoints/last.ckpt; name the folder of a run",
        ),
        (["resume=auto"], "error: resume=auto goes on with what is in run_dir, so give run_dir=... too"),
        (["run_dir=new", "data.batch_size=0"], "data.batch_size is 0"),
    ],
)
def test_a_start_that_fails_leaves_no_folder(
    arguments: list[str], message: str, command: Command, tmp_path: Path
) -> None:
    done = command("train.py", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_leaves_what_was_in_its_folder(command: Command, tmp_path: Path) -> None:
    kept = tmp_path / "mine" / "config.yaml"
    kept.parent.mkdir()
    kept.write_text("of the user")
    (kept.parent / "notes.txt").touch()
    done = command("train.py", "run_dir=mine", "weights=nowhere.pth", cwd=tmp_path)
    assert done.returncode == 1 and (kept.parent / "notes.txt").exists()
