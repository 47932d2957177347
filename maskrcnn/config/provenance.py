"""Where each value of a composed configuration comes from: files of the defaults list, and the command line."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import yaml
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from maskrcnn.config.complaint import complain
from maskrcnn.config.compose import to_plain
from maskrcnn.config.composing import composing
from maskrcnn.config.groups import CONF
from maskrcnn.config.written import written

CONFIG_NAME = "train"


class Setting(NamedTuple):
    """One place that gives a key its value."""

    value: str  # as it is written there; empty for an override, which says it itself
    where: str  # file and line, or the override
    why: str  # what brought the file in; empty where nothing did
    comment: str  # behind the value in its file


class _File(NamedTuple):
    path: Path
    text: str
    package: list[str]  # names of the key that its values lie under
    why: str


class Provenance:
    """A configuration with the files and overrides that it is made of.

    Args:
        overrides: of the command line.

    Attributes:
        plain, raw: the values with interpolations resolved, and as they are written.
        choices: of the groups; folders: that hold the files, a user's own among them.

    Raises:
        ValueError: they do not compose; see `complain`.
    """

    def __init__(self, overrides: list[str]) -> None:
        with composing():
            try:
                config = hydra.compose(CONFIG_NAME, overrides, return_hydra_config=True)
                loader = GlobalHydra.instance().config_loader()
                listed = loader.compute_defaults_list(CONFIG_NAME, overrides, RunMode.RUN)
            except HydraException as error:
                raise ValueError(complain(error, CONFIG_NAME, overrides)) from error
        self.folders = [Path(one.path) for one in config.hydra.runtime.config_sources if one.schema == "file"]
        with open_dict(config):
            del config.hydra
        self.plain = to_plain(config)
        self.raw: Any = OmegaConf.to_container(config, resolve=False)
        self.choices: dict[str, str | None] = dict(listed.overrides.known_choices)
        self._metadata = listed.overrides.override_metadata
        self._overrides: list[Override] = listed.config_overrides
        self._files = [file for one in listed.defaults if (file := self._read(one)) is not None]

    def settings(self, key: str) -> list[Setting]:
        """All places that set a key, in the order in which they apply: the last one counts."""
        names = split(key)
        found: list[Setting] = []
        for file in self._files:
            if names[: len(file.package)] == file.package:
                found += _in_file(file, names[len(file.package) :])
        for override in self._overrides:
            above = split(override.key_or_group)
            if names[: len(above)] != above:
                continue
            value: Any = override.value()
            for name in names[len(above) :]:
                value = value.get(name) if isinstance(value, dict) else None
            if names == above or value is not None:
                found.append(Setting("", f"{override.input_line} on the command line", "", ""))
        return found

    def chosen_by(self, group: str) -> str:
        """What chose a group's file, for people."""
        made = self._metadata.get(group)
        if made is None:
            return f"by default, {shown(CONF / CONFIG_NAME)}.yaml"
        if made.external_override:
            return "on the command line"
        return f"in {self._shown_config(made.containing_config_path)}"

    def _read(self, default: ResultDefault) -> _File | None:
        name = default.config_path or ""
        path = self._path(name)
        if path is None or name.startswith("hydra/"):
            return None
        group, _, choice = name.rpartition("/")
        why = ""
        if group and self.choices.get(group) == choice:
            why = f"{group}={choice} {self.chosen_by(group)}"
        elif default.parent != CONFIG_NAME and name != CONFIG_NAME:
            why = f"which {self._shown_config(default.parent)} starts from"
        package = (default.package or "").replace("_global_", "")
        return _File(path, path.read_text(encoding="utf-8"), package.split(".") if package else [], why)

    def _path(self, name: str) -> Path | None:
        found = (folder / f"{name}.yaml" for folder in self.folders)
        return next((path for path in found if path.is_file()), None)

    def _shown_config(self, name: str | None) -> str:
        path = self._path(name or "")
        return str(name) if path is None else shown(path)


def split(key: str) -> list[str]:
    """The names of a key: "data.transforms[0].p" has four."""
    return [name for name in re.split(r"[.\[\]]+", key) if name]


def shown(path: Path) -> str:
    """A path as short as people need it."""
    inside = os.path.relpath(path)
    return str(path) if inside.startswith("..") else inside


def line_comment(text: str, line: int, column: int) -> str:
    """What is said behind a value in YAML, from a column of its line on."""
    found = re.search(r"(?:^|\s)#\s*(.*)$", text.split("\n")[line][column:])
    return found[1].strip() if found else ""


def _in_file(file: _File, names: list[str]) -> Iterator[Setting]:
    """How a file sets a key below its package, if it does: also by a null or a list in the place of what is above."""
    node = yaml.compose(file.text)
    start = None
    for name in names:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == name), None)
            if pair is None:
                return
            start, node = pair
        elif isinstance(node, yaml.SequenceNode) and name.isdigit() and int(name) < len(node.value):
            node = node.value[int(name)]
            start = node
        else:
            break
    if start is None:
        return
    if isinstance(node, yaml.ScalarNode):
        value = file.text[node.start_mark.index : node.end_mark.index] or "null"
    else:
        value = written(yaml.SafeLoader("").construct_document(node))
    single = node.start_mark.line == node.end_mark.line == start.start_mark.line
    column = node.end_mark.column if single else start.end_mark.column
    comment = line_comment(file.text, start.start_mark.line, column)
    yield Setting(value, f"{shown(file.path)}:{start.start_mark.line + 1}", file.why, comment)
