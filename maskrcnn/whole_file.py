"""Files that are whole or not there: a reader, a full disk or a kill finds the one before."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec


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


def read_json(path: Path, kind: Any, remedy: str) -> Any:
    """Reads a JSON file that we wrote, which anybody may have changed since.

    Args:
        path: of the file, which is there; kind: the type of its content, such as a TypedDict; it may hold more keys.
        remedy: what to do where it is broken.

    Raises:
        ValueError: it is no JSON, or not of that type.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        msgspec.convert(content, kind)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is broken ({error}): {remedy}") from error
    return content
