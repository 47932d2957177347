"""What a search varies."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from maskrcnn.config.compose import check, compose, to_plain
from maskrcnn.config.limits import check_limits
from maskrcnn.config.suggest import suggest
from maskrcnn.config.written import written
from maskrcnn.engine.train import train
from maskrcnn.sweep.choices import check_made, check_sweep, of_trial

KEYS = ("low", "high", "log", "step")


def distributions(space: dict[str, Any]) -> dict[str, BaseDistribution]:
    """Optuna's distributions, by the key of the configuration.

    Args:
        space: by key or group a list of choices, or a mapping: numbers from `low` to `high` with both, whole ones if
            both are; with `log` on a logarithmic scale, with `step` in steps from `low`.

    Raises:
        ValueError: a key has neither.
    """
    if not space:
        raise ValueError(
            "space is empty; name what to vary: 'space={optimizer.lr: {low: 1e-4, high: 1e-2, log: true}}'"
        )
    return {key: _distribution(key, given) for key, given in space.items()}


def as_overrides(setting: Mapping[str, Any]) -> list[str]:
    """Values by key as the command line would give them."""
    return [f"{key}={written(value)}" for key, value in setting.items()]


def check_space(space: dict[str, BaseDistribution], fixed: list[str]) -> None:
    """Checks every choice and both ends of every range against the configuration and what is made of it, before the
    first trial.

    Args:
        space: by key; fixed: overrides of all trials.

    Raises:
        ValueError: one does not fit; or a key is both varied and fixed.
    """
    both = [key for key in space if any(one.lstrip("+~").partition("=")[0] == key for one in fixed)]
    if both:
        raise ValueError(f"{both[0]} stands in space and in override; leave it out of one")
    values = {key: _values(one) for key, one in space.items()}
    settings = [{key: found[0] for key, found in values.items()}]
    settings += [{**settings[0], key: value} for key, found in values.items() for value in found[1:]]
    trials: list[tuple[list[str], dict[str, Any]]] = []
    for setting in settings:
        overrides = as_overrides(setting)
        with of_trial(overrides):
            plain = to_plain(compose([*fixed, *overrides]))
            check(plain, train)
            check_limits(plain)
            check_sweep(plain["trainer"])
            trials.append((overrides, plain))
    check_made(trials)


def _distribution(key: str, given: Any) -> BaseDistribution:
    if isinstance(given, list) and given and all(isinstance(one, (str, int, float, bool)) for one in given):
        return CategoricalDistribution(given)
    if not isinstance(given, dict) or not {"low", "high"} <= set(given):
        raise ValueError(
            f"space: {key} is {given!r}; give choices, {key}: [a, b], or a range, {key}: {{low: 1, high: 9}}"
        )
    for name in given:
        if name not in KEYS:
            raise ValueError(f"space: {key} has an unknown '{name}'. {suggest(name, KEYS)}")
    low, high, log, step = given["low"], given["high"], given.get("log", False), given.get("step")
    try:
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log, 1 if step is None else step)
        return FloatDistribution(low, high, log, step)
    except (ValueError, TypeError) as error:
        raise ValueError(f"space: {key} is {given}: {error}") from error


def _values(one: BaseDistribution) -> list[Any]:
    """All choices, or both ends."""
    if isinstance(one, CategoricalDistribution):
        return list(one.choices)
    assert isinstance(one, IntDistribution | FloatDistribution)
    return [one.low, one.high]
