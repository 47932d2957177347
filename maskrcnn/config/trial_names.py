"""Folders of a sweep and of its trials, which are the same when the same command is repeated."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from maskrcnn.config.identity import BESIDE, identity


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
    """The identity of a trial's configuration.

    Args:
        _root_: its whole configuration; what is Hydra's does not count.
    """
    own = OmegaConf.masked_copy(_root_, [str(key) for key in _root_ if key != "hydra"])
    plain: Any = OmegaConf.to_container(own, resolve=True)
    return identity(plain)


def _name(varied: list[str], fixed: list[Override], ranges: list[str] = []) -> str:
    lines = {
        str(one.input_line) for one in fixed if not any(f"{one.key_or_group}.".startswith(f"{key}.") for key in BESIDE)
    }
    digits = hashlib.sha256("\n".join([*varied, *ranges, *sorted(lines)]).encode()).hexdigest()[:6]
    return f"{'+'.join(varied).replace('/', '.')[:80] or 'one'}-{digits}"


# The sweep's name is kept for its trials, whose own command lines are others: Hydra hands kept values on.
OmegaConf.register_new_resolver("sweep_name", sweep_name, use_cache=True, replace=True)
OmegaConf.register_new_resolver("trial_name", trial_name, replace=True)
