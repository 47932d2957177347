"""Several processes, and several micro-batches, make the very step of one large batch."""

import csv
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from lightning_fabric.strategies.launchers import subprocess_script

from maskrcnn.engine import ranks
from maskrcnn.run_files import checkpoint
from maskrcnn.start import quieten
from tests.engine.test_resume import differences

Command = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
Fit = Callable[..., dict[str, float]]
# No batch norm, whose statistics are of a batch; a budget of masks that never binds; and no division by a small root of
# a gradient's square, which would blow rounding up.
SPLITTABLE = [
    "model.backbone.norm=group", "model.neck.norm=null", "model.mask_head.norm=null", "model.box_head.trunk.norm=null",
    "model.sampler.mask_slots=64", "optimizer=sgd", "optimizer.scale_lr=false", "optimizer.lr=0.01",
    "trainer.max_epochs=1",
]  # fmt: skip


def state(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read(folder / "checkpoints" / "last.ckpt")["state_dict"]


def rows(folder: Path, column: str) -> list[dict[str, float]]:
    with (folder / "metrics" / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file) if row[column]]


def farthest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    return max((a[key] - b[key]).abs().max().item() for key in a)


@pytest.fixture(scope="module")
def whole(fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps of four pictures, in one process."""
    folder = tmp_path_factory.mktemp("whole")
    fit(folder, *SPLITTABLE)
    return folder


@pytest.fixture(scope="module")
def shared(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same by two ranks of two pictures; what was printed lies in output.txt."""
    folder = tmp_path_factory.mktemp("shared")
    done = command("train.py", "trainer=ddp", *SPLITTABLE, "data.batch_size=2", "run_dir=run", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "run" / "output.txt").write_text(done.stdout + done.stderr)
    return folder / "run"


def test_two_ranks_take_the_steps_of_one_with_twice_the_batch(whole: Path, shared: Path) -> None:
    moved = max(value["train/loss"] for value in rows(whole, "train/loss"))
    assert moved > 1  # there was something to learn
    assert farthest(state(whole), state(shared)) < 1e-5
    one, two = rows(whole, "train/loss"), rows(shared, "train/loss")
    assert len(one) == 4
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(a, abs=1e-5)


def test_two_ranks_score_each_picture_once(whole: Path, shared: Path) -> None:
    (one,), (two,) = rows(whole, "segm/AP"), rows(shared, "segm/AP")
    losses = [name for name in one if name.startswith("val/")]
    # Of weights that differ in their last bits, as the training losses above.
    assert losses and [two.pop(name) for name in losses] == pytest.approx([one.pop(name) for name in losses], abs=1e-5)
    assert two == pytest.approx(one, abs=1e-6, nan_ok=True)
    pictures = [sorted(path.name for path in (folder / "pictures").iterdir()) for folder in (whole, shared)]
    assert pictures[0] == pictures[1] == ["step_000004.png"]


def test_one_rank_speaks_and_writes(shared: Path) -> None:
    output = (shared / "output.txt").read_text()
    assert output.count("4 steps of 4 images") == output.count("epoch 1: box AP") == output.count("best.ckpt") == 1
    assert "warning" not in output and "[INFO]" not in output
    assert len(list((shared / "tensorboard").glob("events*"))) == 1
    assert not list(shared.glob("*process_1*"))


def test_exact_accumulation_takes_the_steps_of_one_large_batch(whole: Path, fit: Fit, tmp_path: Path) -> None:
    halves = ["data.batch_size=2", "trainer.accumulate_grad_batches=2"]
    fit(tmp_path / "exact", *SPLITTABLE, *halves, "accumulation.exact=true")
    fit(tmp_path / "mean", *SPLITTABLE, *halves)
    assert farthest(state(whole), state(tmp_path / "exact")) < 1e-5
    assert farthest(state(whole), state(tmp_path / "mean")) > 1e-4  # a mean of means is another step


def test_an_exactly_accumulated_step_is_as_long_where_nothing_clips_it(fit: Fit, tmp_path: Path) -> None:
    once = [*SPLITTABLE, "trainer.gradient_clip_val=null", "trainer.max_steps=1", "schedule.warmup_steps=0"]
    fit(tmp_path / "whole", *once)
    fit(tmp_path / "exact", *once, "data.batch_size=2", "trainer.accumulate_grad_batches=2", "accumulation.exact=true")
    assert farthest(state(tmp_path / "whole"), state(tmp_path / "exact")) < 1e-5  # the farthest weight moves by 0.05


def test_exact_accumulation_refuses_batch_norm(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="accumulation.exact=true, but model.backbone.* is a batch norm"):
        fit(tmp_path, "trainer.accumulate_grad_batches=2", "accumulation.exact=true")


def test_determinism_changes_no_bit_on_a_cpu(whole: Path, fit: Fit, tmp_path: Path) -> None:
    try:
        fit(tmp_path, *SPLITTABLE, "trainer.deterministic=true")
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert farthest(state(whole), state(tmp_path)) == 0


def test_fewer_pictures_than_ranks_are_refused() -> None:
    with pytest.raises(ValueError, match="1 validation pictures are too few for 2 ranks: lower trainer.devices"):
        ranks.check_pictures(1, "validation", 2)


@pytest.mark.slow
def test_torchrun_with_ranks_and_exact_accumulation_takes_the_same_steps(
    whole: Path, command: Command, tmp_path: Path
) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    split = ["data.batch_size=1", "trainer.accumulate_grad_batches=2", "accumulation.exact=true"]
    done = command("train.py", "trainer=ddp", *SPLITTABLE, *split, cwd=tmp_path, python=torchrun)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()  # both agreed on it
    assert farthest(state(whole), state(folder)) < 1e-5


def test_a_rank_that_is_killed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which cannot say so itself, and Lightning ends the others."""
    told: list[str] = []
    monkeypatch.setattr(subprocess_script._logger, "handle", lambda record: told.append(record.getMessage()))
    monkeypatch.setattr(os, "kill", lambda *_: None)
    monkeypatch.setattr("maskrcnn.start.shorten_warnings", lambda: None)  # those of the other tests
    quieten()
    subprocess_script._ChildProcessObserver(os.getpid(), [Mock(pid=7, returncode=-9)])._run()
    assert len(told) == 1 and "Child process with PID 7 terminated with code -9" in told[0]


FAILING = """
import os
from maskrcnn.cli import train
from maskrcnn.engine.module import MaskRCNNModule
before = MaskRCNNModule.training_step
def step(self, batch, batch_idx):
    if batch_idx == 1 and os.environ.get("LOCAL_RANK", "0") == os.environ["FAILING_RANK"]:
        raise ValueError("the picture is broken")
    return before(self, batch, batch_idx)
MaskRCNNModule.training_step = step
train()
"""


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_fails_ends_the_run_with_its_sentence(rank: str, command: Command, tmp_path: Path) -> None:
    script = tmp_path / "failing.py"
    script.write_text(FAILING)
    environment = {**os.environ, "FAILING_RANK": rank}
    done = command(str(script), "trainer=ddp", *SPLITTABLE, "data.batch_size=2", cwd=tmp_path, env=environment)
    assert done.returncode != 0 and done.stderr.count("error: the picture is broken") == 1, done.stderr
    assert "Traceback" not in done.stderr


# With batch norm, whose statistics each rank has of its own, and the average of the weights.
RESUMED = (
    "trainer=ddp", "data.batch_size=2", "trainer.max_epochs=2", "callbacks=ema", "callbacks.pictures=null",
    "callbacks.progress.every_n_steps=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def uncut(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks, of two epochs of four steps, that nothing stopped."""
    folder = tmp_path_factory.mktemp("uncut")
    done = command("train.py", *RESUMED, "run_dir=run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["rank 0 alone", "all ranks"])
def test_ranks_that_a_signal_stops_go_on_with_the_same_bits(
    send: Callable[[int, int], None], uncut: Path, start: Start, command: Command, tmp_path: Path
) -> None:
    process = start("train.py", *RESUMED, "run_dir=cut", cwd=tmp_path, start_new_session=True)
    assert process.stdout is not None
    output = ""
    while "step 2/8" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    send(process.pid, signal.SIGTERM)
    output += process.communicate()[0]
    assert process.returncode == 128 + signal.SIGTERM, output
    assert output.count("finishing the step") == output.count("last.ckpt is written") == 1
    progress = checkpoint.read(tmp_path / "cut" / "checkpoints" / "last.ckpt")["progress"]
    assert progress["position"]["batches"] in (2, 3)  # in the middle of the epoch
    done = command("train.py", *RESUMED, "resume=cut", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"going on after step {progress['position']['batches']} of 8" in done.stdout
    assert differences(uncut, tmp_path / "cut") == []
