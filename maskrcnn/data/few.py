"""Long lists, and numbers, in a sentence."""

from collections.abc import Sequence

NAMES = 20  # classes that a sentence can list


def few(values: Sequence[object], most: int) -> str:
    """The first of some values, and dots where there are more."""
    return ", ".join(map(str, values[:most])) + (", ..." if len(values) > most else "")


def few_of(values: Sequence[object], most: int = 5, total: int | None = None) -> str:
    """The first of some values, and how many there are in all if there are more; `total`, where not all are given."""
    number = len(values) if total is None else total
    return ", ".join(map(str, values[:most])) + (f", ... ({number} in all)" if number > most else "")


def few_names(names: Sequence[str]) -> str:
    """The names of classes, of many the first ones."""
    return few_of(names, NAMES)


def unlike_names(first: Sequence[str], second: Sequence[str]) -> tuple[str, str]:
    """The names of two lists of classes that differ; where one is long, from just before the first difference on."""
    start = 0
    if max(len(first), len(second)) > NAMES:
        same = (i for i, (one, other) in enumerate(zip(first, second)) if one != other)
        start = max(next(same, min(len(first), len(second))) - 1, 0)
    before = "..., " if start else ""
    return before + few_of(first[start:], NAMES, len(first)), before + few_of(second[start:], NAMES, len(second))


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 class", "2 classes", "3 validation pictures"."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"
