import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("cpu.py", "give one of operators, train, inference, train_large, inference_large"),
        ("cpu.py trian quick", "give one of operators, train, inference, train_large, inference_large"),
        ("scaling.py quik", "quik: give quick, or nothing"),
        ("data.py 32", "32: give quick, or nothing"),
        ("gpu.py", "give the file for the results: python benchmarks/gpu.py results.json"),
        ("gpu.py results.json quick", "sees no GPU; benchmarks/cpu.py measures on a CPU"),
        ("validation.py quick", "give a number of pictures, then objects and noise, or pace alone"),
        ("validation.py 32 nosie", "give a number of pictures, then objects and noise, or pace alone"),
        ("validation.py 32 objects pace", "give a number of pictures, then objects and noise, or pace alone"),
    ],
)
def test_what_cannot_be_measured_ends_in_a_sentence(words: str, said: str, tmp_path: Path) -> None:
    script, *arguments = words.split()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and said in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
