"""Explains one key of a configuration: its value, what set it, its type and meaning, and who reads it."""

import functools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maskrcnn.config.check import SPECIAL
from maskrcnn.config.groups import HEADER, groups
from maskrcnn.config.meaning import Target, meaning, read_target
from maskrcnn.config.nested import join
from maskrcnn.config.provenance import CONFIG_NAME, Provenance, Setting, shown, split
from maskrcnn.config.unknown_key import meant
from maskrcnn.config.written import written

ROOT = "maskrcnn.engine.train.train"  # whose keyword parameters are the top level
WIDTH = 118
REFERENCE = re.compile(r"\$\{([\w.\[\]]+)\}")


def explain(key: str, overrides: list[str]) -> str:
    """What there is to know of a key, a node or a group, as text for a terminal. Reads no data and imports no torch,
    unless the key is another library's.

    Args:
        key: such as "optimizer.lr", "optimizer" or "backbone"; overrides: the rest of the command line.

    Raises:
        ValueError: the command line does not compose, or there is no such key; with what may have been meant.
    """
    made = Provenance(overrides)
    parts = []
    if _there(made, key):
        inside = _node(made, key) if isinstance(_at(made.raw, key), dict) else _leaf(made, key)
        parts.append("\n".join(inside))
    if key in groups():
        parts.append("\n".join(_group(made, key)))
    if not parts:
        raise ValueError(f"unknown key '{key}'. {meant(key, '...', CONFIG_NAME, overrides)}")
    return "\n\n".join(parts)


def _leaf(made: Provenance, key: str) -> Iterator[str]:
    yield from _value(made, key)
    yield from _reader(made, key)
    users = [name for name, value in _leaves(made.raw) if isinstance(value, str) and key in REFERENCE.findall(value)]
    if users:
        yield from _row("taken by", ", ".join(users))


def _value(made: Provenance, key: str, indent: str = "") -> Iterator[str]:
    """The value and all that set it; of an interpolation also what it leads to, further in."""
    yield from _wrap(f"{indent}{key} = {written(_at(made.plain, key))}", "", f"{indent}    ")
    settings = made.settings(key)
    for i, setting in enumerate(reversed(settings)):
        yield from _row("set by" if i == 0 else "replaced", _told(setting), indent)
    for comment in [setting.comment for setting in reversed(settings) if setting.comment][:1]:
        yield from _row("comment", comment, indent)
    value = _at(made.raw, key)
    for other in dict.fromkeys(REFERENCE.findall(value) if isinstance(value, str) else []):
        if _there(made, other):
            yield from _value(made, other, f"{indent}    ")


def _told(setting: Setting) -> str:
    if not setting.value:
        return setting.where  # an override says its value itself
    return f"{_short(setting.value)}  {setting.where}" + (f"  ({setting.why})" if setting.why else "")


def _reader(made: Provenance, key: str) -> Iterator[str]:
    """Type and meaning of a value, and the class or function that takes it."""
    names, calls, node = split(key), [(ROOT, 0)], made.raw
    for depth, name in enumerate(names):
        if isinstance(node, dict) and "_target_" in node:
            calls.append((node["_target_"], depth))
        node = _step(node, name)
    called, depth = calls[-1]
    name = names[depth]
    if name in SPECIAL:
        yield from _row("meaning", {"_target_": "the class or function that is called with the other keys of its node",
                        "_partial_": "true: what is missing is given later, by the node above"}[name])  # fmt: skip
        return
    target = read_target(called, ".".join(names[:depth]), made.plain["plugins"])
    parameter = target.parameters.get(name)
    if parameter is not None:
        default = "" if parameter.default is None else f"; the library's default is {parameter.default}"
        yield from _row("type", parameter.type + default)
    yield from _row("meaning", meaning(target, name) or f"the docstring of {target.name} does not say")
    yield from _row("read by", _place(target, target.line if parameter is None else parameter.line))


def _node(made: Provenance, key: str) -> Iterator[str]:
    """A node: what it makes, and its keys with their values and origins."""
    node = _at(made.raw, key)
    if "_target_" in node:
        target = read_target(node["_target_"], key, made.plain["plugins"])
        yield f"{key}: {_place(target, target.line)}"
        yield from _wrap(target.doc.strip().partition("\n\n")[0], "  ", "  ")
    else:
        yield f"{key}: {len(node)} keys"
    for group, package in groups().items():
        if package == key and group in made.choices:
            yield f"  {group}={made.choices[group]} {made.chosen_by(group)}"
    rows = []
    for name, value in node.items():
        if name in SPECIAL:
            continue
        child = f"{key}.{name}"
        if isinstance(value, dict):
            rows.append((str(name), f"{{{value.get('_target_', ', '.join(map(str, value)))}}}", ""))
        else:
            settings = made.settings(child)
            rows.append((str(name), _short(written(_at(made.plain, child))), settings[-1].where if settings else ""))
    left = max((len(row[0]) for row in rows), default=0)
    middle = max((len(row[1]) for row in rows if row[2]), default=0)
    for name, text, where in rows:
        yield f"  {name:{left}}  {text:{middle}}  {where}".rstrip()
    yield f"  explain={key}.KEY tells more of one"


def _group(made: Provenance, group: str) -> Iterator[str]:
    """The choices of a group with what their files say of themselves."""
    files = {path.stem: path for folder in reversed(made.folders) for path in sorted((folder / group).glob("*.yaml"))}
    place = groups()[group].replace("_global_", "the top level")
    yield f"{group}: a group, {group}=NAME on the command line; its values lie at {place}"
    left = max(map(len, files))
    for name, path in sorted(files.items()):
        chosen = f"({made.chosen_by(group)}) " if name == made.choices.get(group) else ""
        yield from _wrap(f"{chosen}{_sentence(path)}", f"  {name:{left}}  ", " " * (left + 4)) or [f"  {name}"]


def _sentence(path: Path) -> str:
    """The first sentence of the comment at the head of a file."""
    said = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith(HEADER):
            continue
        if not line.startswith("#"):
            break
        said.append(line.lstrip("# "))
    return re.split(r"(?<=[.?:]) (?=[A-Z])", " ".join(said))[0]


def _row(title: str, text: str, indent: str = "") -> list[str]:
    return _wrap(text, f"{indent}  {title:9} ", f"{indent}{' ' * 12}")


def _wrap(text: str, first: str, following: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _place(target: Target, line: int) -> str:
    return f"{target.name}, {shown(target.file)}:{line}"


def _step(value: Any, name: str) -> Any:
    return value[int(name)] if isinstance(value, list) else value[name]


def _at(value: Any, key: str) -> Any:
    return functools.reduce(_step, split(key), value)


def _there(made: Provenance, key: str) -> bool:
    try:
        _at(made.raw, key)
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    return bool(split(key))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, join(key, name))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _leaves(child, f"{key}[{i}]")
    else:
        yield key, value


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:56]} ..."
