import re
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_the_evaluation_benchmark_measures_both_ways_on_the_same_masks(benchmark: Callable[..., str]) -> None:
    """It asserts itself that both ways give the same run lengths and the same 24 numbers."""
    found = dict(re.findall(r"^(.*): (.*)$", benchmark("evaluation", "quick"), re.MULTILINE))
    assert (found["pictures"], found["masks"], found["masks that pycocotools' way pasted"]) == ("50", "5000", "5000")
    assert 0.1 < float(found["mask AP of both"]) < 0.9
    assert float(found["times faster in all"]) > 0
