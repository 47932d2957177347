"""Long lists in a sentence."""

from collections.abc import Sequence


def few(values: Sequence[object], most: int) -> str:
    """The first of some values, and dots where there are more."""
    return ", ".join(map(str, values[:most])) + (", ..." if len(values) > most else "")
