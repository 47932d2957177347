"""Composes configurations from `conf/`, and says what was meant where a key is mistyped."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from maskrcnn.config.check import check_call, check_nodes, suggest

PACKAGE = Path(__file__).resolve().parent.parent
# In the installed package, conf/ lies inside it; in a checkout, beside it.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"

# ${first:a,b}: a, or b where a is null. OmegaConf's own oc.select takes b only where the key a is not there at all.
OmegaConf.register_new_resolver("first", lambda a, b: b if a is None else a, replace=True)


def compose(overrides: Iterable[str] = (), config_name: str = "train") -> DictConfig:
    """The configuration that a command line with these overrides would give.

    Args:
        overrides: such as "backbone=resnet101" or "optimizer.lr=0.01".
        config_name: train, evaluate or predict.

    Raises:
        ValueError: an override that does not fit, with the nearest valid names.
    """
    overrides = list(overrides)
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra.compose(config_name, overrides)
    except ConfigCompositionException as error:
        raise ValueError(explain(error, config_name, overrides)) from error


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
        ValueError: see `check_nodes`.
    """
    check_call(root, plain, "")
    check_nodes(plain, "", plain["plugins"])


def keys(value: Any, prefix: str = "") -> list[str]:
    """All keys of nested mappings, joined by dots."""
    if not isinstance(value, dict):
        return []
    found = []
    for name, child in value.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        found += [key, *keys(child, key)]
    return found


def groups() -> list[str]:
    """Names of the configuration groups."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir())


def explain(error: Exception, config_name: str, overrides: list[str]) -> str:
    """Hydra's complaint in one sentence, with the nearest valid keys where one is unknown.

    Args:
        error: of composition; config_name, overrides: what was composed.
    """
    causes = [str(error)] + ([str(error.__cause__)] if error.__cause__ else [])
    text = "\n".join(causes)
    choice = re.search(r"Could not find '([^'/]+)/([^']+)'", text)
    if choice is not None:
        listed = re.findall(r"^\t(\S+)$", text, re.MULTILINE)  # with those of the user's --config-dir
        return f"there is no {choice[1]}={choice[2]}. {suggest(choice[2], listed)} Choices: {', '.join(sorted(listed))}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown is None:
        unquoted = re.search(r"\[([\w.]+)=", text) if "override=[" in "".join(overrides) else None
        return f"{text}\nPut quotes inside the brackets: 'override=[\"{unquoted[1]}=...\"]'" if unquoted else text
    key = unknown.group(1)
    chosen = [o for o in overrides if o.split("=")[0] in groups() and o.split("=")[0] != key]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config = hydra.compose(config_name, chosen)
        except ConfigCompositionException:
            config = hydra.compose(config_name)
    known = keys(OmegaConf.to_container(config, resolve=False)) + groups()
    # The last name is where the slip mostly is: look for it beside its siblings first.
    parent, _, name = key.rpartition(".")
    siblings = [k.rpartition(".")[2] for k in known if k.rpartition(".")[0] == parent]
    if parent and siblings:
        return f"unknown key '{key}'. {suggest(name, siblings)}".rstrip()
    return f"unknown key '{key}'. {suggest(key, known)}".rstrip()
