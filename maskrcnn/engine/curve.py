"""A metric of a run along its steps or epochs."""

import csv
from pathlib import Path


def curve(folder: Path, column: str, along: str) -> list[tuple[float, float]]:
    """A metric of a run along its steps or epochs; what was done again after an interruption counts once.

    Args:
        folder: of the run; column: of its metrics; along: the column "step" or "epoch".
    """
    earlier = sorted(folder.glob("metrics/metrics_*.csv"), key=lambda path: int(path.stem.partition("_")[2]))
    points: dict[float, float] = {}
    for path in [*earlier, folder / "metrics" / "metrics.csv"]:
        if path.is_file():
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    if row.get(column) and row.get(along):
                        points[float(row[along])] = float(row[column])
    return sorted(points.items())
