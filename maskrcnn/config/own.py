"""What a user brings along: packages, and a folder of choices."""

import importlib.util
import os
import sys
from pathlib import Path

from hydra.conf import HydraConf


def find_plugins(plugins: list[str]) -> None:
    """Makes packages in the current folder importable, if the command line names any.

    Raises:
        ValueError: one is nowhere, or no package's name.
    """
    if plugins and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in plugins:
        top = name.partition(".")[0]
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"plugins: {name!r} is no package's name; give it as in an import, such as plugins=[mine]")
        if importlib.util.find_spec(top) is None:
            raise ValueError(f"plugins: there is no package {top!r}: start in the folder that holds it, or install it")


def own_folder(hydra: HydraConf) -> str | None:
    """The folder of `--config-dir`, absolute, as Hydra's part of a configuration has it; None without one."""
    given = [one.path for one in hydra.runtime.config_sources if one.provider == "command-line"]
    return str(Path(given[0]).resolve()) if given else None


def searching(folder: str | None) -> list[str]:
    """The override that composes with such a folder, where an option cannot be given."""
    return [] if folder is None else ["hydra.searchpath=['file://{}']".format(folder.replace("'", r"\'"))]
