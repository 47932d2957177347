"""The rows of a table that are whole: a kill may cut the last one short."""

import csv
import io
from pathlib import Path


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns and rows of a table; a line that was cut short, or has more or fewer columns, is left out.

    Args:
        path: of the CSV file, which another process may be writing.

    Raises:
        ValueError: it is no table; the message names it.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    try:
        head, *found = list(csv.reader(io.StringIO(whole, newline=""))) or [[]]
    except csv.Error as error:  # such as of zeros that a crash of the machine left
        raise ValueError(f"{path} is broken: {error}") from error
    return head, [dict(zip(head, row)) for row in found if len(row) == len(head)]
