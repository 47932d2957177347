import re
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_the_data_benchmark_measures_every_kind_of_work_on_all_objects(benchmark: Callable[..., str]) -> None:
    found = dict(re.findall(r"^(.*): (.*)$", benchmark("data", "quick"), re.MULTILINE))
    assert found["objects seen a picture"] == "7.0"
    assert {key: value for key, value in found.items() if key.startswith("objects seen with")} == {
        f"objects seen with {name}": "[5, 375]" for name in ("flip", "dihedral", "microscopy")
    }
    kinds = ("decode and resize", "samples", "batches of 2")
    assert all(float(found[f"pictures per second, {kind}"]) > 0 for kind in kinds)
