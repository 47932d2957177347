"""The processor cores that this process may use."""

import os


def up_to_cores(number: int) -> int:
    """A number of worker processes, or fewer where there are fewer cores."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(number, allowed)
