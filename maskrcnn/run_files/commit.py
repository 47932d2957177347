"""The state of the code in git."""

import functools
import subprocess
from pathlib import Path
from typing import NamedTuple


class Commit(NamedTuple):
    """What a checkout holds."""

    name: str  # 40 hexadecimal digits
    diff: str  # of tracked files against it; empty where they are as committed


def read_commit(file: Path) -> Commit | None:
    """The commit of the checkout that tracks a file; none where no git is, or an installed package lies in another's
    checkout.
    """
    if _git(file, "ls-files", "--error-unmatch", file.name) is None:
        return None
    name, diff = _git(file, "rev-parse", "HEAD"), _git(file, "diff", "HEAD")
    return None if name is None or diff is None else Commit(name.strip(), diff)


@functools.cache  # what is imported stays as it was, whatever is committed meanwhile
def code_version() -> str:
    """The commit of the code that runs, shortened, with a + where tracked files differ from it."""
    found = read_commit(Path(__file__))
    return "unknown" if found is None else found.name[:10] + ("+" if found.diff else "")


def _git(file: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=file.parent, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
