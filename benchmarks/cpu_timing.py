"""Seconds, memory and speed of work on a CPU."""

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def turns(works: dict[str, Callable[[], object]], rounds: int, base: str) -> dict[str, Any]:
    """Median, least and most seconds of each work, one after the other in each round, and ratios to `base`."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if number:
                seconds[name].append(time.perf_counter() - start)
    found: dict[str, Any] = {
        name: [round(f(spent), 5) for f in (statistics.median, min, max)] for name, spent in seconds.items()
    }
    for name in works:
        if name != base:
            ratios = [a / b for a, b in zip(seconds[name], seconds[base])]
            found[f"{name}: times the seconds of {base}"] = [round(f(ratios), 2) for f in (statistics.median, min, max)]
    return found


def seconds(work: Callable[[], object], times: int) -> list[float]:
    """Median, least and most seconds, after one that warms up."""
    spent = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return [round(f(spent[1:]), 3) for f in (statistics.median, min, max)]


def peak_mb(work: Callable[[], object]) -> float | None:
    """MB that the process grows by while it works, at most; None where the kernel does not say."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts anew
        before = _status("VmRSS")
        work()
        return round((_status("VmHWM") - before) / 1000)
    except OSError:
        return None


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key)))


def peak_gflops() -> float:
    """What one product of two matrices of 2048 x 2048 reaches, the best of 5."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9
