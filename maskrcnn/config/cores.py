"""The processor cores that this process may use."""

import os


def cores() -> int:
    """How many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def up_to_cores(number: int) -> int:
    """A number of worker processes, or fewer where there are fewer cores."""
    return min(number, cores())
