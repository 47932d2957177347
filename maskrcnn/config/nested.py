"""Nested mappings, such as configurations, by keys of names that dots join: "optimizer.lr"."""

from collections.abc import Collection, Iterator
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


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal and of one type: of batches, 1 is one, 1.0 all of them."""
    return type(a) is type(b) and a == b


def differing(a: Any, b: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Keys with other values in two nested mappings, with both; `...` stands where one has none."""
    if isinstance(a, dict) and isinstance(b, dict):
        for name in [*a, *(name for name in b if name not in a)]:
            yield from differing(a.get(name, ...), b.get(name, ...), join(key, name))
    elif not same(a, b):
        yield key, a, b


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs, "key: old -> new" each, down to single values. A run's own folders do not count."""
    flat = [dict(_leaves(config, "")) for config in (before, now)]
    names = sorted((flat[0].keys() | flat[1].keys()) - {"run_dir", "resume"})
    pairs = [(name, *(one.get(name, "absent") for one in flat)) for name in names]
    return [f"{name}: {old} -> {new}" for name, old, new in pairs if not same(old, new)]


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves(child, join(key, name))
    else:
        yield key, value
