"""What a class or function can be given by a configuration."""

import inspect
import typing
from collections.abc import Callable
from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """The parameters of a class or function, wherever they are declared."""

    named: dict[str, inspect.Parameter]
    hints: dict[str, Any]  # their annotations, as far as they can be evaluated
    free: bool  # it takes any other keyword, too


def read_parameters(function: Callable[..., Any]) -> Parameters:
    """Parameters by name; a constructor that hands on `**rest` has those of the class that it derives from, too."""
    named = dict(inspect.signature(function).parameters)
    hints = _hints(function.__init__ if inspect.isclass(function) else function)
    declared = [one for one in getattr(function, "__mro__", ()) if "__init__" in vars(one)]
    for constructor in (vars(one)["__init__"] for one in declared[1:]):
        if not _hands_on(named):
            break
        named = {name: one for name, one in named.items() if one.kind is not one.VAR_KEYWORD}
        others = list(inspect.signature(constructor).parameters.values())[1:]  # without self
        named = {**{one.name: one for one in others}, **named}
        hints = {**_hints(constructor), **hints}
    return Parameters(named, hints, _hands_on(named))


def _hands_on(named: dict[str, inspect.Parameter]) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in named.values())


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError:  # of a name that is imported for type checkers only
        return {}


def choosable(function: Callable[..., Any], partial: bool) -> dict[str, inspect.Parameter]:
    """The parameters that a configuration sets; all others are given by the part that makes it.

    Of ours they are the keyword-only ones. Of other code also those that may be given by position: all of them where
    nothing but the configuration makes the call, and those with a default where it is made later.

    Args:
        function: the class or function; partial: some parameters are given later, by position.
    """
    ours = function.__module__.startswith("maskrcnn.")
    return {
        name: one
        for name, one in read_parameters(function).named.items()
        if one.kind is one.KEYWORD_ONLY
        or (not ours and one.kind is one.POSITIONAL_OR_KEYWORD and not (partial and one.default is one.empty))
    }
