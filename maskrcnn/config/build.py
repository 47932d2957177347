"""Builds what a checked configuration describes."""

import functools
from typing import Any

from maskrcnn.config.check import SPECIAL, THIRD_PARTIES, resolve_target
from maskrcnn.config.nested import join


def build(value: Any, plugins: list[str], key: str = "") -> Any:
    """Turns every node with a `_target_` into a call of it, from the inside out.

    Ten lines instead of `hydra.utils.instantiate`: the allow-list is applied at the very call, arguments arrive as
    plain lists and mappings, and an error of a constructor reaches the user as it is, with the key before it.

    Args:
        value: plain values; `_partial_: true` makes a function of the remaining arguments.
        plugins: packages allowed besides ours, from the command line only.
        key: where the value lies, for messages.

    Raises:
        ValueError: a constructor refuses its values or lacks a package, or a target is not allowed.
        Exception: anything else that a constructor of ours, or of a plugin, raises.
    """
    if isinstance(value, list):
        return [build(child, plugins, f"{key}[{i}]") for i, child in enumerate(value)]
    if not isinstance(value, dict):
        return value
    children = {name: build(child, plugins, join(key, name)) for name, child in value.items() if name not in SPECIAL}
    if "_target_" not in value:
        return children
    target = resolve_target(value["_target_"], key, plugins)
    if value.get("_partial_", False):
        return functools.partial(target, **children)
    try:
        return target(**children)
    except Exception as error:
        if not target.__module__.startswith(THIRD_PARTIES) and not isinstance(
            error, (ImportError, TypeError, ValueError)
        ):
            raise
        named = str(error).startswith(f"{key}.")  # it says the key itself
        raise ValueError(str(error) if named else f"{key}: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What a constructor says, in one line."""
    details = getattr(error.__cause__, "errors", None)  # of pydantic, by which albumentations checks
    if not callable(details):
        return " ".join(str(error).split())
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details())
