"""The rows of metrics.csv that are whole."""

import csv
import io
from pathlib import Path


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns and rows of a table; a line that was cut short, or has more or fewer columns, is left out.

    Args:
        path: of the file, which another process may be writing.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    head, *found = list(csv.reader(io.StringIO(whole, newline=""))) or [[]]
    return head, [dict(zip(head, row)) for row in found if len(row) == len(head)]
