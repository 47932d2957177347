"""Nested mappings, such as configurations, by keys of names that dots join: "optimizer.lr"."""

from collections.abc import Collection
from typing import Any


def join(key: str, name: Any) -> str:
    """The key of a name below another key; the name itself at the top, where the key is empty."""
    return f"{key}.{name}" if key else str(name)


def at(config: Any, key: str) -> Any:
    """The value at a key; None where there is none."""
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config


def keys(value: Any, prefix: str = "") -> list[str]:
    """All keys, those of mappings before those in them."""
    if not isinstance(value, dict):
        return []
    return [one for name, child in value.items() for one in (join(prefix, name), *keys(child, join(prefix, name)))]


def without(value: Any, dropped: Collection[str], key: str = "") -> Any:
    """The mapping at a key, without what lies at some keys."""
    if not isinstance(value, dict):
        return value
    named = {name: join(key, name) for name in value}
    return {name: without(child, dropped, named[name]) for name, child in value.items() if named[name] not in dropped}


def moved(value: Any, old: str, new: str) -> Any:
    """With all paths of a folder, and of what is below it, as those of another one."""
    if isinstance(value, dict):
        return {name: moved(child, old, new) for name, child in value.items()}
    if isinstance(value, list):
        return [moved(child, old, new) for child in value]
    below = isinstance(value, str) and (value == old or value.startswith(f"{old}/"))
    return new + value[len(old) :] if below else value
