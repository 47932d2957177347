import re
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_the_spike_finds_one_graph_that_reloads_without_this_package(benchmark: Callable[..., str]) -> None:
    told = benchmark("spike", "quick")
    work = [float(value) for value in re.findall(r"mask slots a batch: .*'TFLOP': ([\d.]+)", told)]
    assert len(work) == 4 and work == sorted(work) and work[3] > 2 * work[1]  # padding of 256 slots costs more than 64
    assert "reloaded in a fresh process: needed this package: False" in told
    difference = re.search(r"largest difference: ([\d.e-]+)", told)
    assert difference is not None and float(difference[1]) <= 1e-3  # pixels and scores alike
