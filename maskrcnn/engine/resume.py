"""Going on with a run in its own folder: what is there, and where the configuration differs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def last_checkpoint(run: Path) -> Path:
    """The file that a run goes on from."""
    return run / "checkpoints" / "last.ckpt"


def check_folders(run_dir: str, resume: str | None) -> None:
    """Makes sure that a new run writes over none, and that a resumed one has something to go on with.

    Raises:
        ValueError: it would, or has not.
    """
    if resume is None and any(Path(run_dir).glob("checkpoints/*.ckpt")):
        raise ValueError(
            f"run_dir={run_dir} holds a run already: resume={run_dir} goes on with it, another run_dir starts afresh"
        )
    if resume is not None and not last_checkpoint(Path(resume)).is_file():
        path = last_checkpoint(Path(resume))
        raise ValueError(f"resume={resume}: there is no {path}; name the folder of a run that has saved one")


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Where a run's configuration differs from the one that it is resumed from: "key: old -> new" each.

    Args:
        before, now: configurations with nested mappings. Folders do not count.
    """
    flat = [dict(_leaves(config, "")) for config in (before, now)]
    names = sorted((flat[0].keys() | flat[1].keys()) - {"run_dir", "resume"})
    return [
        f"{name}: {flat[0].get(name, 'absent')} -> {flat[1].get(name, 'absent')}"
        for name in names
        if flat[0].get(name, "absent") != flat[1].get(name, "absent")
    ]


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def keep_metrics(run_dir: Path) -> None:
    """Puts the metrics so far aside as metrics_1.csv, ...: Lightning's logger starts its file anew."""
    path = run_dir / "metrics" / "metrics.csv"
    if path.is_file():
        number = 1 + len(list(path.parent.glob("metrics_*.csv")))
        path.rename(path.with_name(f"metrics_{number}.csv"))
