"""Results as JSON files."""

import math
from pathlib import Path
from typing import Any

from rich.console import Console

from maskrcnn import whole_file
from maskrcnn.engine.console import say


def write_json(path: Path, content: Any, console: Console, indent: int | None = 2) -> None:
    """Writes a file as `whole_file.write_json` and says so. Null stands for what is not a number, which JSON lacks."""
    whole_file.write_json(path, _plain(content), indent)
    say(console, f"wrote {path}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
