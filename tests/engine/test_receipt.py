"""The receipt and the checksums that a run leaves."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from maskrcnn.engine.checksum import checksum, hash_state
from maskrcnn.run_files import checkpoint, checksum_file, receipt_file
from maskrcnn.run_files.commit import code_version, read_commit

Command = Callable[..., subprocess.CompletedProcess[str]]


class StopAtEpochsEnd(pl.Callback):
    """Ends the process before the second epoch's first step, when the last checkpoint is written."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.current_epoch == 1:
            raise SystemExit(1)


def test_a_receipt_says_what_a_run_was_made_of_and_what_came_out(run: Path) -> None:
    receipt = receipt_file.read(run)
    (start,) = receipt["starts"]
    assert receipt["config"]["trainer"]["max_epochs"] == 2 and "trainer.max_epochs=2" in start["overrides"]
    assert start["identity"] == receipt["identity"] and start["changed"] == [] and start["step"] == 0
    assert start["versions"]["torch"] == torch.__version__ and start["hardware"]["threads"] >= 1
    assert start["data"]["train"]["number"] == 16 and start["data"]["val"]["number"] == 6
    end = receipt["end"]
    state = checkpoint.model_state(checkpoint.read(run / "checkpoints" / "last.ckpt"))
    assert end["finished"] and end["steps"] == 8 and end["weights"] == hash_state(state)
    assert end["weights"] != receipt["starting_weights"] and "segm/AP" in end["scores"]
    assert "NaN" not in (run / "receipt.json").read_text()
    assert not (run / "environment.json").exists()


def test_the_last_checksums_are_of_the_last_weights(run: Path) -> None:
    found = checksum_file.read(run)
    assert list(found.steps) == list(range(9)) and found.steps[0].loss == "" and float(found.steps[8].loss) > 0
    state = checkpoint.model_state(checkpoint.read(run / "checkpoints" / "last.ckpt"))
    for part, value in zip(found.parts, found.steps[8].sums):
        assert checksum([t for key, t in state.items() if key.startswith(f"{part}.")]).item() == value
    assert receipt_file.read(run)["end"]["checksums"] == found.rolling()


def test_a_run_that_goes_on_from_an_earlier_step_has_the_receipt_of_one_in_one_go(
    run: Path, command: Command, fit: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    torch.set_num_threads(receipt_file.read(run)["starts"][0]["hardware"]["threads"])
    with pytest.raises(SystemExit):
        fit(tmp_path / "half", "trainer.max_epochs=2", callback=StopAtEpochsEnd())
    # As after SIGKILL: the checkpoint is of step 4, the checksums go further, the last line is cut short.
    cut = Path(shutil.copytree(run, tmp_path / "cut"))
    shutil.copy(tmp_path / "half" / "checkpoints" / "last.ckpt", cut / "checkpoints" / "last.ckpt")
    (cut / "checksums.csv").write_text((cut / "checksums.csv").read_text()[:-30])
    changed = receipt_file.read(cut)
    changed["starts"][0]["data"]["train"]["pictures"] = "others"
    changed["starts"][0]["versions"] |= {"plugin mine": "another", "torch": "1.0"}
    changed["starts"][0] |= {"commit": "0123456789abcdef", "diff": "start_1.diff", "diff_sha256": "of another"}
    (tmp_path / "mine.py").write_text("")
    receipt_file.write(cut, changed)
    done = command("train.py", "trainer.max_epochs=2", "resume=cut", "plugins=[mine]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nthe code of plugin mine changed since the run was last started\n" in done.stdout
    assert f"\ntorch (1.0 -> {torch.__version__}) changed since the run was last started\n" in done.stdout
    assert f"\nthe code of maskrcnn (commit 0123456789+ -> {code_version()}) changed since the run" in done.stdout
    assert "\npictures of train changed since the run was last started\n" in done.stdout
    whole, resumed = receipt_file.read(run), receipt_file.read(cut)
    assert [start["step"] for start in resumed["starts"]] == [0, 4]
    assert resumed["starting_weights"] == whole["starting_weights"]
    assert resumed["end"]["weights"] == whole["end"]["weights"]
    assert checksum_file.read(cut) == checksum_file.read(run)
    assert resumed["end"]["seconds"] == pytest.approx(sum(start["seconds"] for start in resumed["starts"]), abs=0.11)


def test_a_broken_receipt_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="receipt.json; name the folder of a run"):
        receipt_file.read(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(ValueError, match=r"receipt\.json: the run is of a version that kept none, or it was deleted$"):
        receipt_file.read(tmp_path)
    (tmp_path / "receipt.json").write_text("{")
    with pytest.raises(ValueError, match=r"receipt\.json is broken"):
        receipt_file.read(tmp_path)


def test_a_commit_is_that_of_the_checkout_that_tracks_the_file(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True,
                              text=True).stdout  # fmt: skip

    file, other = tmp_path / "code.py", tmp_path / "untracked.py"
    file.write_text("1\n")
    other.write_text("1\n")
    assert read_commit(file) is None
    git("init", "-q")
    git("add", "code.py")
    git("commit", "-qm", "one")
    found = read_commit(file)
    assert found is not None and found.name == git("rev-parse", "HEAD").strip() and found.diff == ""
    file.write_text("2\n")
    changed = read_commit(file)
    assert changed is not None and changed.name == found.name and "-1\n+2\n" in changed.diff
    assert read_commit(other) is None
