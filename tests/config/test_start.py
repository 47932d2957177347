import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [["explain=optimizer.lr"], ["--help"]])
def test_a_reader_that_leaves_ends_a_command_without_a_word(arguments: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)  # as of `head`, once it has its lines
    try:
        command = [sys.executable, str(ROOT / "train.py"), *arguments]
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (128 + 13, "")


def test_a_reader_that_leaves_ends_a_training_without_a_word(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    training = start("train.py", "trainer.max_epochs=1", f"run_dir={tmp_path}/run", cwd=tmp_path)
    assert training.stdout is not None and training.stderr is not None
    assert "16 training and 6 validation pictures" in training.stdout.readline()
    training.stdout.close()
    assert (training.stderr.read(), training.wait()) == ("", 128 + 13)
