"""A bar for work that takes longer than a moment."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import track

T = TypeVar("T")


def follow(values: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Passes values on while a bar counts them; for a single one, or without a terminal, there is no trace of a bar."""
    yield from track(values, description, total, transient=True, disable=total < 2 or not sys.stdout.isatty())
