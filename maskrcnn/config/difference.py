"""What to add to one run's command line to get another's configuration."""

import contextlib
import functools
from typing import Any, NamedTuple

from omegaconf.errors import OmegaConfBaseException

from maskrcnn.config.groups import groups as all_groups
from maskrcnn.config.identity import essence, is_beside
from maskrcnn.config.nested import at, differing
from maskrcnn.config.provenance import Provenance
from maskrcnn.config.written import written

ROUNDS = 3  # of single keys; the second and third are for keys whose values follow others


class Described(NamedTuple):
    """A run as its folder describes it."""

    config: dict[str, Any]  # resolved
    overrides: list[str] | None  # of its command line; None where they are not known


class Difference(NamedTuple):
    """How two configurations differ, without what cannot change a result."""

    overrides: list[str] | None  # to add to the first one's command line; None where none leads to the second
    without: list[str]  # to leave out of it, as the second one's choices lack their keys
    keys: list[str]  # "key: first -> second" of all that differ


def difference(a: Described, b: Described) -> Difference:
    """The shortest list of overrides that we find from one configuration to another, tried by composing.

    A group's choice stands in it where that saves keys. Chosen first are all groups in which the two differ; then
    each is left out whose keys alone are no more.
    """
    target = essence(b.config)
    pairs = list(differing(essence(a.config), target))
    keys = [f"{key}: {told(old)} -> {told(new)}" for key, old, new in pairs]
    if not pairs or a.overrides is None or b.overrides is None:
        return Difference([] if not pairs else None, [], keys)
    given = [line for line in a.overrides if not is_beside(_name(line))]
    try:
        base = _composed(*given)
        choices = _composed(*(line for line in b.overrides if not is_beside(_name(line)))).choices
        if essence(base.plain) != essence(a.config):
            return Difference(None, [], keys)
        groups = [
            f"{group}={'null' if choice is None else choice}"
            for group, choice in choices.items()
            if not group.startswith("hydra/") and base.choices.get(group) != choice
        ]
        without = _lacking(given, groups)
        given = [line for line in given if line not in without]
        singles = _singles(given, groups, target)
        for group in list(groups):
            fewer = [one for one in groups if one != group]
            more = _singles(given, fewer, target)
            if more is not None and (singles is None or _keys(more) <= _keys(singles) + 1):
                groups, singles = fewer, more
    except (ValueError, OmegaConfBaseException):  # the configuration's files have changed since
        return Difference(None, [], keys)
    return Difference(None if singles is None else groups + singles, without, keys)


def _lacking(given: list[str], groups: list[str]) -> list[str]:
    """The overrides of a command line that do not compose with some choices, which lack their keys."""
    with contextlib.suppress(ValueError):
        _composed(*added(given, groups))
        return []
    kept: list[str] = []
    for line in sorted(given, key=lambda line: _name(line) not in {*all_groups(), "hydra.searchpath"}):
        with contextlib.suppress(ValueError):
            _composed(*added([*kept, line], groups))
            kept.append(line)
    return [line for line in given if line not in kept]


def _singles(given: list[str], groups: list[str], target: dict[str, Any]) -> list[str] | None:
    """Overrides of single keys that lead to the target together with some choices; None where they do not."""
    found: list[str] = []
    for _ in range(ROUNDS):
        made = _composed(*added(given, groups + found))
        left = list(differing(essence(made.plain), target))
        if not left:
            return found
        changed = {key for key, _, _ in left}
        own = [one for one in left if not _follows(made.raw, one[0], changed)]
        found += [_override(key, old, new) for key, old, new in own or left]
    made = _composed(*added(given, groups + found))
    return found if essence(made.plain) == target else None


def added(given: list[str], more: list[str]) -> list[str]:
    """A command line with overrides at its end, without those that they replace."""
    names = {_name(line) for line in more}
    return [line for line in given if _name(line) not in names] + more


def _override(key: str, old: Any, new: Any) -> str:
    if new is ...:
        return f"~{key}"
    return f"{'+' if old is ... else ''}{key}={written(new)}"


def _keys(overrides: list[str]) -> int:
    """How many keys overrides give a value, those of a mapping counted one by one."""
    return sum(max(one.count(": "), 1) for one in overrides)


def _follows(raw: Any, key: str, changed: set[str]) -> bool:
    """Whether a key takes its value from one that is changed too."""
    value = at(raw, key)
    return isinstance(value, str) and any(f"${{{one}}}" in value for one in changed)


@functools.cache
def _composed(*overrides: str) -> Provenance:
    return Provenance(list(overrides))


def _name(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def told(value: Any) -> str:
    """A value of `differing` as it is written in an override."""
    return "absent" if value is ... else written(value)
