import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_the_evaluation_benchmark_measures_both_ways_on_the_same_masks(tmp_path: Path) -> None:
    """It asserts itself that both ways give the same run lengths and the same 24 numbers."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "evaluation.py"), "quick"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^(.*): (.*)$", done.stdout, re.MULTILINE))
    assert (found["pictures"], found["masks"], found["masks that pycocotools' way pasted"]) == ("50", "5000", "5000")
    assert 0.1 < float(found["mask AP of both"]) < 0.9
    assert float(found["times faster in all"]) > 0
    assert not list(tmp_path.iterdir())
