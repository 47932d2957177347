"""Results as JSON files."""

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from maskrcnn.engine.console import say


def write_json(path: Path, content: Any, console: Console) -> None:
    """Writes a file, mappings with indentation, and says so. Null stands for what is not a number, which JSON lacks."""
    indent = 2 if isinstance(content, dict) else None
    path.write_text(json.dumps(_plain(content), indent=indent) + "\n", encoding="utf-8")
    say(console, f"wrote {path}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
