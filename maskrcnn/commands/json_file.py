"""Results as JSON files."""

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from maskrcnn.engine.console import say
from maskrcnn.run_files.whole_file import replacing


def write_json(path: Path, content: Any, console: Console) -> None:
    """Writes a file, whole or not at all, and says so; mappings with indentation. Null stands for what is not a number,
    which JSON lacks.
    """
    indent = 2 if isinstance(content, dict) else None
    with replacing(path) as part:
        part.write_text(json.dumps(_plain(content), indent=indent) + "\n", encoding="utf-8")
    say(console, f"wrote {path}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
