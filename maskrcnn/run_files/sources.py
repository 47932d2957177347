"""Which code of the user's a run was made with."""

import functools
import hashlib
import importlib.util
from pathlib import Path


def fingerprints(plugins: list[str]) -> dict[str, str]:
    """A hash of the Python files of each package or module that a configuration may name, by "plugin <name>"."""
    return {f"plugin {name}": hash_ for name in plugins if (hash_ := _fingerprint(name)) is not None}


@functools.cache  # what is imported stays as it was, whatever is written meanwhile
def _fingerprint(name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # of the package that it lies in
        spec = None
    if spec is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or []]
    files = [(folder, path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    if not folders and spec.has_location:
        files = [(Path(str(spec.origin)).parent, Path(str(spec.origin)))]
    whole = hashlib.sha256()
    for folder, path in files:
        whole.update(f"{path.relative_to(folder).as_posix()}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:12]
