"""What a run was started with, so that `resume=<its folder>` alone goes on with it."""

import json
import re
import warnings
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from maskrcnn.config.groups import groups
from maskrcnn.config.run_dir import last_checkpoint

# Of each start: its folders, and what may run code, which a run from elsewhere is not to choose.
OWN = {"resume", "run_dir", "plugins", "hydra"}


def recall(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Adds the overrides that the last start of a run had to those that are to go on with it.

    Args:
        arguments: of the command line.

    Returns:
        All arguments, and those that were added: none of `OWN`, none whose key, or the group that it belongs to, is
        given anew; and none at all without a `resume=<folder>` that holds a receipt, or in a sweep.

    Raises:
        ValueError: the receipt is broken.
    """
    parse = OverridesParser.create().parse_override
    try:
        overrides = get_args_parser().parse_known_args(arguments)[0].overrides
        given = {parse(text).key_or_group: text for text in overrides}
        # With another choice of a group, keys of the one before may not be there.
        replaced = tuple(f"{package}." for group, package in groups().items() if group in given)
        folder = str(parse(given["resume"]).value()) if "resume" in given else ""
        if {"-m", "--multirun"} & set(arguments) or not folder:
            return arguments, []
        before = _overrides(Path(folder))
        keys = {text: parse(text).key_or_group for text in before}
        added = [
            text
            for text, key in keys.items()
            if key not in given and not key.startswith(replaced) and re.split("[./@]", key)[0] not in OWN
        ]
    except HydraException:  # what cannot be read is told by those who must
        return arguments, []
    place = arguments.index(given["resume"])  # beside others: argparse takes them in one row only
    return arguments[:place] + added + arguments[place:], added


def _overrides(run: Path) -> list[str]:
    """Those of the last start of a run; none, and a warning, where a run that can go on has no receipt."""
    path = run / "receipt.json"
    if not path.is_file():
        if last_checkpoint(run).is_file():
            warnings.warn(
                f"there is no {path}, so it is not known how the run was started: give the overrides of then again",
                stacklevel=2,
            )
        return []
    try:
        overrides: list[str] = json.loads(path.read_text(encoding="utf-8"))["starts"][-1]["overrides"]
        if not isinstance(overrides, list) or not all(isinstance(one, str) for one in overrides):
            raise TypeError("overrides are a list of texts")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is broken: copy it again from where the run was made, or delete it and give the overrides of the "
            "run's start again"
        ) from error
    return overrides
