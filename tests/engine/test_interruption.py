"""What an interruption leaves behind."""

import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from maskrcnn.engine.interruption import Interruption, Stopped
from maskrcnn.run import further
from maskrcnn.run_files import checkpoint
from maskrcnn.run_files.checkpoint import CheckpointFile

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
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
    file.save_checkpoint({"maskrcnn": checkpoint.content({}, [], [])}, path)

    def interrupted(value: object, handle: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.save_checkpoint({}, path)
    assert torch.load(path, weights_only=True)["maskrcnn"]["format"] == checkpoint.FORMAT
    assert list(tmp_path.iterdir()) == [path]


class Interrupt(pl.Callback):
    """Ctrl-C, once or more, in the first step of an epoch; or, without one, at the end."""

    def __init__(self, epoch: int | None, times: int) -> None:
        self.epoch, self.times = epoch, times

    def on_fit_end(self, *_: Any) -> None:
        if self.epoch is None:
            signal.raise_signal(signal.SIGINT)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


def test_a_second_ctrl_c_ends_at_once_with_its_status(
    fit: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Stopped) as stopped:
        fit(tmp_path / "run", "trainer.max_epochs=2", callback=Interrupt(epoch=1, times=2))
    assert stopped.value.code == 130 and stopped.value.folder == tmp_path / "run"
    said = capfd.readouterr().out
    assert said.endswith("Ctrl-C once more stops at once\nstopped at once\n") and "is written" not in said
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 4


def test_of_several_ranks_one_speaks(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with Interruption(None):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().out == ""


def test_a_signal_that_comes_after_the_last_step_is_told_to_what_comes_after_the_run(
    fit: Callable[..., Any], tmp_path: Path
) -> None:
    options = ("trainer.max_epochs=1", "callbacks.pictures=null", "callbacks.report=null", "logger=csv")
    with pytest.raises(Stopped) as stopped:
        fit(tmp_path / "run", *options, callback=Interrupt(epoch=None, times=1))
    assert stopped.value.code == 130 and stopped.value.scores is not None and "segm/AP" in stopped.value.scores
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["progress"]["finished"]


def test_the_command_and_not_the_run_says_how_to_go_on(
    fit: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A sweep goes on in another way than a run alone."""
    with pytest.raises(Stopped) as stopped:
        fit(tmp_path / "run", "trainer.max_epochs=1", callback=Interrupt(epoch=0, times=1))
    assert stopped.value.code == 130 and stopped.value.folder == tmp_path / "run"
    said = capfd.readouterr().out
    assert f"stopped after step 1 of 4; {tmp_path}/run/checkpoints/last.ckpt is written\n" in said
    assert "to go on" not in said and "resume" not in said


def test_what_a_resumed_run_does_not_remember_is_named() -> None:
    """Without its folder of choices, `backbone=mine` would be refused."""
    assert further(Path("/runs/a"), None, ["seed=1"]) == "python train.py resume=/runs/a"
    assert further(Path("/runs/a"), "/my conf", ["backbone=mine", "plugins=[mine]"]) == (
        "python train.py '--config-dir=/my conf' resume=/runs/a 'plugins=[mine]'"
    )


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has none")
@pytest.mark.parametrize(("before", "received"), [(signal.SIG_DFL, 1), (signal.SIG_IGN, 0)], ids=["plain", "nohup"])
def test_a_closed_terminal_stops_a_run_unless_it_is_to_go_on_without_one(before: Any, received: int) -> None:
    kept = signal.signal(signal.SIGHUP, before)
    try:
        with Interruption(None) as interruption:
            signal.raise_signal(signal.SIGHUP)
        assert interruption.received == received and signal.getsignal(signal.SIGHUP) == before
    finally:
        signal.signal(signal.SIGHUP, kept)
