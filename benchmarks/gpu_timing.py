"""Milliseconds of work on a GPU, of pictures of one size."""

import statistics
from collections.abc import Callable
from typing import Any

import torch

HEIGHT, WIDTH = 800, 1333

Note = Callable[[str, Any], None]  # keeps a result at once


def milliseconds(work: Callable[[], object], times: int, warm_up: int = 3) -> dict[str, float]:
    """Median and spread of single runs, each between two events on the device."""
    for _ in range(warm_up):
        work()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(times)]
    torch.cuda.synchronize()
    for start, end in events:
        start.record()
        work()
        end.record()
    torch.cuda.synchronize()
    spent = sorted(start.elapsed_time(end) for start, end in events)
    return {"ms": round(statistics.median(spent), 3), "least": round(spent[0], 3), "most": round(spent[-1], 3)}
