import json
import os
import re
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_a_pass_and_its_inference_wait_for_the_stand_in(benchmark: Callable[..., str]) -> None:
    ms = 4.7 * 16 / (os.cpu_count() or 2)
    assert read(benchmark("validation", "32"), (32 - 8) * ms / 1000) == ["objects", "noise"]
    assert read(benchmark("validation", "32", "pace"), (32 - 8) * 2.9 / 1000) == ["pace"]


def read(printed: str, least: float) -> list[str]:
    """What was measured, each with `least` seconds: those of all but the last batch of 8."""
    found = dict(re.findall(r"^(\w+): (\{.*\})$", printed, re.MULTILINE))
    for one in map(json.loads, found.values()):
        assert [len(one[f"seconds {of}"]) for of in ("of passes", "of finding alone")] == [1, 1]
        assert min(seconds for (seconds,) in list(one.values())[:3]) >= least
    return list(found)
