"""The processor cores that this process may use."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # in a container, what it is limited to


def cores() -> int:
    """How many there are; in a container with a quota of CPU time, as many as that amounts to, rounded up."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _quota() or usable)


def up_to_cores(number: int) -> int:
    """A number of worker processes, or fewer where there are fewer cores."""
    return min(number, cores())


def keep_to_quota() -> None:
    """Has torch, once imported, start as many threads as a quota allows, where the user does not say.

    It takes one for each core of the host, and all of them stand still once their quota for 0.1 s is used up.
    """
    if _quota() is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(cores()))


def _quota() -> int | None:
    """The cores that a container's quota amounts to, by version 2 or version 1 of Linux's control groups."""
    try:
        if (CGROUP / "cpu.max").is_file():
            quota, period = _read("cpu.max").split()
        else:
            quota, period = _read("cpu/cpu.cfs_quota_us"), _read("cpu/cpu.cfs_period_us")
        return -(-int(quota) // int(period)) if int(quota) > 0 else None  # -1: none, in version 1
    except (OSError, ValueError):  # no control groups, or "max": no quota
        return None


def _read(name: str) -> str:
    return (CGROUP / name).read_text(encoding="utf-8")
