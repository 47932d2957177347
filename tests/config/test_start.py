import os
import subprocess
import sys
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
