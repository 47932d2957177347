import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_the_data_benchmark_measures_every_kind_of_work_on_all_objects(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "data.py"), "quick"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^(.*): (.*)$", done.stdout, re.MULTILINE))
    assert found["objects seen a picture"] == "7.0"
    assert {key: value for key, value in found.items() if key.startswith("objects seen with")} == {
        f"objects seen with {name}": "[5, 375]" for name in ("flip", "dihedral", "microscopy")
    }
    kinds = ("decode and resize", "samples", "batches of 2")
    assert all(float(found[f"pictures per second, {kind}"]) > 0 for kind in kinds)
    assert not list(tmp_path.iterdir())
