"""What a sweep will choose from, checked before its first trial."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskrcnn.config.build import build
from maskrcnn.config.complaint import complain
from maskrcnn.config.compose import check, to_plain
from maskrcnn.config.early import check_early
from maskrcnn.config.explain import ROOT
from maskrcnn.config.groups import groups
from maskrcnn.config.limits import check_limits
from maskrcnn.config.own import find_plugins, own_folder, searching

MOST = 20  # choices of a key that are looked at, as each takes a quarter of a second, and another model up to one
MADE = ("data", "model", "accumulation", "out_of_memory", "optimizer", "schedule", "callbacks")
HERE = ("BasicLauncher", "JoblibLauncher", "LocalLauncher")  # whose trials run on this machine


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
    if config.hydra.launcher._target_.rpartition(".")[2] in HERE:
        check_made(trials)


def check_made(trials: Iterable[tuple[list[str], dict[str, Any]]]) -> None:
    """Makes what trials make before they read data, but for loggers and Lightning's trainer; a model that one trial
    shares with the next, once. Errors that are not a user's mistake are left to the trial.

    Args:
        trials: of each the overrides that tell it from others, and its checked configuration.

    Raises:
        ValueError: a rule across keys or a part refuses a trial.
    """
    from maskrcnn.engine.rules import check_channels, check_rules
    from maskrcnn.engine.train import check_parts

    detector: Any = None
    made_of = None
    for named, plain in trials:
        with of_trial(named), _refusals(), warnings.catch_warnings(action="ignore"):  # which the trial gives too
            check_channels(plain)
            check_rules(plain)
            parts = build({name: plain[name] for name in MADE}, plain["plugins"])
            if plain["model"] != made_of:
                detector = parts["model"](1, plain["data"]["channels"])
                made_of = plain["model"]
            check_parts(detector, parts["optimizer"], parts["callbacks"].values())


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


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Lets no error out but a user's mistake."""
    try:
        yield
    except ValueError:
        raise
    except Exception:
        pass


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
