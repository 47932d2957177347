"""Runs a benchmark's quick form as a user does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def benchmark(tmp_path: Path) -> Callable[..., str]:
    """What benchmarks/<name>.py with some arguments prints; it writes nothing."""

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert not list(tmp_path.iterdir())
        return done.stdout

    return run
