"""Files that are whole or not there: a reader, a full disk or a kill finds the one before."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside a file to write to: what is there at the end takes the file's place, and goes after an error."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Writes a JSON file: with a line for each value, indented; or, with None, on one line, for what nobody reads."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=indent) + "\n", encoding="utf-8")
