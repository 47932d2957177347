"""What a run is, as far as its result goes: a hash of its configuration."""

import hashlib
import json
from typing import Any

from maskrcnn.config.nested import moved, without

# Where and how often a run is written, how many processes feed it and who is told of it does not change what it learns.
BESIDE = {"run_dir", "resume", "logger", "data.workers", "callbacks.progress", "callbacks.last", "callbacks.receipt",
          "callbacks.report", "callbacks.mean_ap.workers", "callbacks.ema.mean_ap.workers",
          "out_of_memory.try_first"}  # fmt: skip


def is_beside(key: str) -> bool:
    """Whether a key is one of `BESIDE`, or lies below one."""
    return any(f"{key}.".startswith(f"{one}.") for one in BESIDE)


def essence(plain: dict[str, Any]) -> dict[str, Any]:
    """A resolved configuration without what cannot change a run's result: folders that it writes to, workers, loggers,
    progress. Paths of data stay, for they say which data.
    """
    kept: dict[str, Any] = without(plain, BESIDE)
    run_dir = plain.get("run_dir")
    return moved(kept, run_dir, "${run_dir}") if run_dir else kept


def identity(plain: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that two configurations share if they describe the same run.

    Args:
        plain: the resolved configuration, of plain values.
    """
    text = json.dumps(essence(plain), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
