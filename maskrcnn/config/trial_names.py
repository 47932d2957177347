"""Folders of a sweep and of its trials, which are the same when the same command is repeated."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from maskrcnn.config.identity import identity, is_beside
from maskrcnn.config.later import add_later


def sweep_name(command_line: list[str], of_files: Mapping[str, str] | None) -> str:
    """What a sweep varies, and a hash of what it fixes: `backbone+seed-3f2a1c`.

    More values of the same keys are the same sweep, so that their trials come beside those that are there; another
    fixed value is another one.

    Args:
        command_line: all overrides, with those of several values among them.
        of_files: the same by key, from `hydra.sweeper.params`.
    """
    lines = [f"{key}={value}" for key, value in (of_files or {}).items()] + list(command_line)
    overrides = OverridesParser.create().parse_overrides(lines)
    varied = sorted({str(one.key_or_group) for one in overrides if one.is_sweep_override()})
    return _name(varied, [one for one in overrides if not one.is_sweep_override()])


def search_name(space: Mapping[str, Any], fixed: list[str]) -> str:
    """What a search varies, and a hash of how, and of what it fixes: `search-optimizer.lr-3f2a1c`.

    Args:
        space: by key what to try; fixed: overrides of all trials.
    """
    varied = sorted(space)
    ranges = [json.dumps([key, space[key]], sort_keys=True) for key in varied]
    return f"search-{_name(varied, OverridesParser.create().parse_overrides(fixed), ranges)}"


def trial_name(_root_: DictConfig) -> str:
    """`trial_folder` of a trial of a sweep.

    Args:
        _root_: its whole configuration; of what is Hydra's, only the sweep's folder counts.
    """
    own = OmegaConf.masked_copy(_root_, [str(key) for key in _root_ if key != "hydra"])
    plain: Any = OmegaConf.to_container(own, resolve=True)
    return trial_folder(Path(_root_.hydra.sweep.dir), plain)


def trial_folder(sweep: Path, plain: dict[str, Any]) -> str:
    """The name of a trial's folder: the identity of its configuration; of a trial that was begun before keys of
    `maskrcnn.config.later` came, its identity of then.

    Args:
        sweep: the folder of all trials; plain: the trial's resolved configuration.
    """
    name = identity(plain)
    if not (sweep / name).exists():
        for path in sorted(sweep.glob("*/receipt.json")):
            try:
                before, added = add_later(json.loads(path.read_text(encoding="utf-8"))["config"])
            except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue  # a broken receipt is told by those who need it
            if added and identity(before) == name:
                return path.parent.name
    return name


def _name(varied: list[str], fixed: list[Override], ranges: list[str] = []) -> str:
    lines = {str(one.input_line) for one in fixed if not is_beside(one.key_or_group)}
    digits = hashlib.sha256("\n".join([*varied, *ranges, *sorted(lines)]).encode()).hexdigest()[:6]
    return f"{'+'.join(varied).replace('/', '.')[:80] or 'one'}-{digits}"


# The sweep's name is kept for its trials, whose own command lines are others: Hydra hands kept values on.
OmegaConf.register_new_resolver("maskrcnn.sweep_name", sweep_name, use_cache=True, replace=True)
OmegaConf.register_new_resolver("maskrcnn.trial_name", trial_name, replace=True)
