"""Where things are kept from run to run."""

import os
import tempfile
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The folder of things of a kind: below XDG_CACHE_HOME, or below ~/.cache.

    Where that cannot be written to, as in containers whose user has no home, below the system's temporary files.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given) / "maskrcnn" / kind
    try:
        own = Path.home() / ".cache" / "maskrcnn"
        own.mkdir(parents=True, exist_ok=True)
        if os.access(own, os.W_OK):
            return own / kind
    except (OSError, RuntimeError):  # RuntimeError: nobody knows the user's home
        pass
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""  # Windows has a folder for each
    return Path(tempfile.gettempdir()) / f"maskrcnn{user}" / kind
