"""What an interruption leaves behind."""

import re
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from maskrcnn.engine import checkpoint
from maskrcnn.engine.checkpoint_file import CheckpointFile
from maskrcnn.engine.resume import changes

Command = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


def test_a_full_disk_keeps_the_checkpoint_before_and_says_so(run: Path, command: Command, tmp_path: Path) -> None:
    done = command("train.py", "trainer.max_epochs=1", "run_dir=run", "callbacks.pictures=null", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = path.read_bytes()
    # No file may grow beyond 200 kB: to the writer it looks like a full disk.
    limited = command(
        "train.py",
        "trainer.max_epochs=2",
        "resume=run",
        "callbacks.pictures=null",
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )
    assert limited.returncode != 0 and "could not write" in limited.stderr and "last.ckpt is whole" in limited.stderr
    assert "Traceback" not in limited.stderr
    assert path.read_bytes() == before and len(before) > 200_000
    assert sorted(file.name for file in path.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_a_write_that_is_interrupted_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, path = CheckpointFile(), tmp_path / "last.ckpt"
    file.save_checkpoint({"maskrcnn": {"format": checkpoint.FORMAT}}, path)

    def interrupted(value: object, handle: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.save_checkpoint({}, path)
    assert checkpoint.read(path)["maskrcnn"]["format"] == checkpoint.FORMAT
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_saves_its_step_and_goes_on_with_the_same_bits(
    number: signal.Signals, run: Path, start: Start, command: Command, tmp_path: Path
) -> None:
    lines = ("callbacks.progress.every_n_steps=1", "trainer.log_every_n_steps=2")
    process = start("train.py", "trainer.max_epochs=2", "run_dir=cut", *lines, cwd=tmp_path)
    assert process.stdout is not None
    output = ""
    while "step 2/8" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    process.send_signal(number)
    output += process.stdout.read()
    assert process.wait() == 128 + number, output
    stopped = re.search(r"stopped after step (\d) of 8, wrote .*cut/checkpoints/last.ckpt; .* resume=.*cut", output)
    assert stopped is not None and 2 <= int(stopped[1]) < 8, output
    again = command("train.py", "run_dir=cut", cwd=tmp_path)
    assert again.returncode != 0 and "holds a run already: resume=" in again.stderr
    done = command("train.py", "trainer.max_epochs=2", "resume=cut", cwd=tmp_path)  # in its own folder
    assert done.returncode == 0, done.stderr
    assert "resumed with another callbacks.progress.every_n_steps: 1 -> 2" in done.stdout
    assert sorted(path.name for path in (tmp_path / "cut" / "metrics").glob("*.csv")) == [
        "metrics.csv",
        "metrics_1.csv",
    ]
    states = [checkpoint.read(path / "checkpoints" / "last.ckpt")["state_dict"] for path in (run, tmp_path / "cut")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_changes_are_named_key_by_key() -> None:
    before = {"a": {"b": 1, "c": [1]}, "run_dir": "x", "gone": None}
    now = {"a": {"b": 2, "c": [1]}, "run_dir": "y", "new": {}}
    assert changes(before, now) == ["a.b: 1 -> 2", "gone: None -> absent", "new: absent -> {}"]
