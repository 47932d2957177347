"""Long lists in a sentence."""

from collections.abc import Sequence


def few(values: Sequence[object], most: int) -> str:
    """The first of some values, and dots where there are more."""
    return ", ".join(map(str, values[:most])) + (", ..." if len(values) > most else "")


def few_of(values: Sequence[object], most: int = 5, total: int | None = None) -> str:
    """The first of some values, and how many there are in all if there are more; `total`, where not all are given."""
    number = len(values) if total is None else total
    return ", ".join(map(str, values[:most])) + (f", ... ({number} in all)" if number > most else "")
