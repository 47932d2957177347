"""Composes configurations from `conf/`, and checks them whole."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from maskrcnn.config.arguments import readable
from maskrcnn.config.check import MISSING, check_call, check_nodes
from maskrcnn.config.complaint import complain
from maskrcnn.config.composing import composing
from maskrcnn.config.cores import up_to_cores
from maskrcnn.config.groups import check_groups, groups, list_choices, list_keys
from maskrcnn.config.habits import HABITS
from maskrcnn.config.launcher import run_name
from maskrcnn.config.nested import join, keys
from maskrcnn.config.own import searching
from maskrcnn.config.run_dir import run_dir
from maskrcnn.config.suggest import suggest_key

OmegaConf.register_new_resolver("maskrcnn.run_dir", run_dir, replace=True)
OmegaConf.register_new_resolver("maskrcnn.run_name", run_name, replace=True)
OmegaConf.register_new_resolver("maskrcnn.up_to_cores", up_to_cores, replace=True)
OmegaConf.register_new_resolver("maskrcnn.choices", list_choices, replace=True)
OmegaConf.register_new_resolver("maskrcnn.keys", list_keys, replace=True)


def compose(
    overrides: Iterable[str] = (), config_name: str = "train", config_dir: str | Path | None = None
) -> DictConfig:
    """The configuration that a command line with these overrides would give.

    Args:
        overrides: such as "backbone=resnet101" or "optimizer.lr=0.01".
        config_name: of a file in `conf/`, such as train or evaluate.
        config_dir: folder of further choices, as of `--config-dir`.

    Raises:
        ValueError: an override that does not fit, with the nearest valid names, or a text instead of a list.
    """
    if isinstance(overrides, str):
        raise ValueError(f"overrides are a list: compose([{overrides!r}])")
    overrides = [readable(one) for one in overrides]
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ValueError(f"config_dir: there is no folder {config_dir}")
        overrides += searching(str(Path(config_dir).resolve()))
    with composing():
        try:
            return hydra.compose(config_name, overrides)
        except HydraException as error:
            raise ValueError(complain(error, config_name, overrides)) from None  # Hydra's own would be 50 lines more


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration with all interpolations resolved, as plain mappings and lists.

    Raises:
        ValueError: an interpolation that leads nowhere.
    """
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def portable(config: DictConfig) -> dict[str, Any]:
    """The configuration for a checkpoint: interpolations between its own keys stay, so that an override carries on;
    those that ask this machine (`now`, `oc.env`) are resolved.
    """

    def walk(raw: Any, resolved: Any) -> Any:
        if isinstance(raw, dict):
            return {key: walk(value, resolved[key]) for key, value in raw.items()}
        if isinstance(raw, list):
            return [walk(a, b) for a, b in zip(raw, resolved)]
        return resolved if isinstance(raw, str) and "${" in raw and ":" in raw else raw

    return walk(OmegaConf.to_container(config, resolve=False), to_plain(config))


def check(plain: dict[str, Any], root: Callable[..., Any]) -> None:
    """Checks a whole configuration: its top level against a function's parameters, every node against its target.

    Raises:
        ValueError: see `check_groups`, `check_call` and `check_nodes`; or keys without a value, all of them at once.
    """
    check_groups(plain)
    for name in plain:
        if name not in inspect.signature(root).parameters:
            known = [key for key in keys({n: v for n, v in plain.items() if n != name}) if key not in groups().values()]
            said = ("trainer" in plain and HABITS.get(name)) or suggest_key(name, known) or "See --help for all keys"
            raise ValueError(f"unknown key '{name}'. {said}")
    check_call(root, plain, "")
    check_nodes(plain, "", plain["plugins"])
    missing = _without_value(plain)
    if missing:
        named = ", ".join(f"'{key}'" for key in missing)
        raise ValueError(f"{named} must be given: {' '.join(f'{key}=...' for key in missing)}")


def _without_value(value: Any, key: str = "") -> list[str]:
    """The keys that hold OmegaConf's mark for what must be given."""
    if isinstance(value, dict):
        return [found for name, child in value.items() for found in _without_value(child, join(key, name))]
    return [key] if value == MISSING else []
