"""A bar for work that takes longer than a moment."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import track

T = TypeVar("T")


def follow(values: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Passes values on while a bar counts them; without a terminal there is no bar, nor a trace of one."""
    yield from track(values, description, total, transient=True, disable=not sys.stdout.isatty())
