import json
import os
import re
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_a_pass_and_its_inference_wait_for_the_stand_in(benchmark: Callable[..., str]) -> None:
    found = dict(re.findall(r"^(\w+): (\{.*\})$", benchmark("validation", "32"), re.MULTILINE))
    least = (32 - 8) * 4.7 / 1000 * 16 / (os.cpu_count() or 2)  # all but the last batch of 8
    assert list(found) == ["objects", "noise"]
    for one in map(json.loads, found.values()):
        assert len(one["seconds of passes"]) == len(one["seconds of finding alone"]) == 1
        assert min(*one["seconds of passes"], *one["seconds of finding alone"]) >= least
