"""Long lists in a sentence."""

from collections.abc import Sequence


def few(values: Sequence[object], most: int) -> str:
    """The first of some values, and dots where there are more."""
    return ", ".join(map(str, values[:most])) + (", ..." if len(values) > most else "")


def few_of(values: Sequence[object], total: int, most: int = 5) -> str:
    """The first of some values, and how many there are in all if there are more."""
    return ", ".join(map(str, values[:most])) + (f", ... ({total} in all)" if total > most else "")
