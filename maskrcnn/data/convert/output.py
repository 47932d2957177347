"""Files and folders that appear as a whole or not at all, and never in the place of others."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_free(out: Path) -> None:
    """Raises a ValueError if there already is something."""
    if os.path.lexists(out):
        raise ValueError(f"out={out} is already there: delete it, or give another name")


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A path beside `out` to write a file or folder to; it is renamed at the end, and removed after an error.

    Raises:
        ValueError: `out` is already there.
    """
    check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}-{os.getpid()}")
    try:
        yield partial
        check_free(out)
        os.rename(partial, out)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
