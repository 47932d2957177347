"""What a sweep will choose from, checked before its first trial."""

import contextlib
from collections.abc import Iterator
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskrcnn.config.complaint import complain
from maskrcnn.config.compose import check, to_plain
from maskrcnn.config.early import check_early
from maskrcnn.config.explain import ROOT
from maskrcnn.config.groups import groups
from maskrcnn.config.limits import check_limits
from maskrcnn.config.own import find_plugins, own_folder, searching

MOST = 20  # choices of a key that are looked at, as each takes a quarter of a second


def check_choices(config: DictConfig, config_name: str) -> None:
    """Composes the first trial, and one for each other choice of each key, and checks them all; of a key with many
    choices the first 20.

    Args:
        config: of the sweep, with Hydra's own, while Hydra runs; config_name: such as train.

    Raises:
        ValueError: a trial cannot be.
    """
    task = list(config.hydra.overrides.task)
    searched = [one for one in config.hydra.overrides.hydra if one.startswith("hydra.searchpath=")]
    trials: list[tuple[list[str], dict[str, Any]]] = []
    overrides, choices = task, list[list[str]]()
    try:
        choices = [_choices(override) for override in task]
        first = [one[0] for one in choices]
        others = [
            ([*first[:place], choice, *first[place + 1 :]], [choice])
            for place, several in enumerate(choices)
            for choice in several[1:MOST]
        ]
        for overrides, named in [(first, first), *others]:
            trials.append((named, to_plain(hydra.compose(config_name, [*searched, *overrides]))))
    except (HydraException, OmegaConfBaseException) as error:
        own = searching(own_folder(config.hydra))
        with of_trial([one for one, several in zip(overrides, choices) if len(several) > 1 and _is_group(one)]):
            raise ValueError(complain(error, config_name, [*own, *searched, *overrides])) from error
    for named, plain in trials:
        with of_trial(named):
            check_early(plain, ROOT)
            check_limits(plain)
            find_plugins(plain["plugins"])
    from maskrcnn.engine.train import train  # late: what is said above need not wait for torch

    for named, plain in trials:
        with of_trial(named):
            check(plain, train)
            check_sweep(plain["trainer"])


def check_sweep(trainer: dict[str, Any]) -> None:
    """Makes sure that a trial, which shares its process with others, is not one of several devices.

    Args:
        trainer: the node of that name.

    Raises:
        ValueError: it is.
    """
    devices, nodes = trainer.get("devices", 1), trainer.get("num_nodes", 1)
    if nodes != 1 or (len(devices) if isinstance(devices, list) else devices) not in (1, "1"):
        raise ValueError(
            f"a sweep (-m) runs on one device, but trainer.devices is {devices} and trainer.num_nodes {nodes}: start "
            "each trial by a command of its own"
        )


def _is_group(override: str) -> bool:
    return override.partition("=")[0] in groups()


def _choices(override: str) -> list[str]:
    loader = GlobalHydra.instance().config_loader()  # knows what glob(...) means
    (parsed,) = OverridesParser.create(config_loader=loader).parse_overrides([override])
    if not parsed.is_sweep_override():
        return [override]
    if not parsed.is_discrete_sweep():
        raise ValueError(
            f"{override}: a sweep needs values, such as {parsed.key_or_group}=0.1,0.2; search.py takes ranges"
        )
    values = [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]
    if not values:  # of glob(...) and range(...)
        raise ValueError(f"{override} stands for no value at all, so that there is nothing to try")
    return values


@contextlib.contextmanager
def of_trial(named: list[str]) -> Iterator[None]:
    """Says of which trial an error is, if anything tells it from the others."""
    try:
        yield
    except ValueError as error:
        if not named:
            raise
        raise ValueError(f"a trial with {' '.join(named)} cannot be: {error}") from error
