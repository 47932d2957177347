"""Metrics of a run along its steps or epochs."""

from pathlib import Path

from maskrcnn.run_files.whole_rows import read_rows


def read_curve(folder: Path, column: str, along: str) -> list[tuple[float, float]]:
    """One metric of a run, see `read_curves`; empty where it was not logged."""
    return read_curves(folder, along).get(column, [])


def read_curves(folder: Path, along: str) -> dict[str, list[tuple[float, float]]]:
    """All metrics of a run along its steps or epochs; what was done again after an interruption counts once.

    Args:
        folder: of the run; along: the column "step" or "epoch" of its metrics.

    Raises:
        ValueError: a table holds what is no number; the message names it.
    """
    earlier = [path for path in folder.glob("metrics/metrics_*.csv") if path.stem.partition("_")[2].isdecimal()]
    earlier.sort(key=lambda path: int(path.stem.partition("_")[2]))
    points: dict[str, dict[float, float]] = {}
    for path in [*earlier, folder / "metrics" / "metrics.csv"]:
        if path.is_file():
            for row in read_rows(path)[1]:
                for column, value in row.items():
                    if value and row.get(along):
                        try:
                            points.setdefault(column, {})[float(row[along])] = float(value)
                        except ValueError as error:
                            raise ValueError(f"{path} is broken: {error}") from error
    return {column: sorted(values.items()) for column, values in points.items()}
