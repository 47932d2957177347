import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_the_spike_finds_one_graph_that_reloads_without_this_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "spike.py"), "quick"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    work = [float(value) for value in re.findall(r"mask slots a batch: .*'TFLOP': ([\d.]+)", done.stdout)]
    assert len(work) == 4 and work == sorted(work) and work[3] > 2 * work[1]  # padding of 256 slots costs more than 64
    assert "reloaded in a fresh process: needed this package: False" in done.stdout
    difference = re.search(r"largest difference: ([\d.e-]+)", done.stdout)
    assert difference is not None and float(difference[1]) <= 1e-3  # pixels and scores alike
