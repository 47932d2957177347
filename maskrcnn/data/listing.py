"""Which files there are."""

import os
from pathlib import Path


class Listing:
    """Looks for files, one listing a directory instead of a look-up each: `name in Listing(root)`.

    Args:
        root: directory that names start from.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, set[str]] = {}

    def __contains__(self, name: str) -> bool:
        parent, base = os.path.split(name)
        if parent not in self.files:
            folder = self.root / parent
            entries = os.scandir(folder) if folder.is_dir() else ()
            self.files[parent] = {entry.name for entry in entries if _is_file(entry)}
        return base in self.files[parent]


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or leads to one: a device or a pipe might be read for ever."""
    return entry.is_file(follow_symlinks=False) or (entry.is_symlink() and os.path.isfile(entry.path))
