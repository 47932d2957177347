"""Reads the trials of a sweep from their folders."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from maskrcnn.config.identity import essence, identity, is_beside
from maskrcnn.config.later import add_later
from maskrcnn.config.nested import at, keys, without
from maskrcnn.run_files.metric_curves import read_curve
from maskrcnn.sweep.result import Result, read_about, read_result

AVERAGED = ("seed", "data.fold")  # what is repeated to know how sure a mean is


class Trial(NamedTuple):
    """One trial's folder."""

    folder: Path
    overrides: dict[str, str]  # of its command line, by key
    choices: dict[str, Any]  # of the groups
    config: dict[str, Any]  # with interpolations, so that a key's followers do not vary with it
    result: Result | None

    @property
    def status(self) -> str:
        """Of its result."""
        return "not begun" if self.result is None else self.result.status

    def value(self, key: str) -> str:
        """What a key or group is in this trial, as a command line would give it."""
        if key in self.overrides:
            return self.overrides[key]
        value = self.choices.get(key, at(self.config, key))
        return json.dumps(value) if value is None or isinstance(value, bool) else str(value)

    def described(self, names: list[str]) -> str:
        """Some keys with their values."""
        return " ".join(f"{key}={self.value(key)}" for key in names)

    @property
    def last_score(self) -> tuple[int, float] | None:
        """How many epochs the last validation came after, and its mask AP."""
        points = read_curve(self.folder, "segm/AP", "epoch")
        return (int(points[-1][0]) + 1, points[-1][1]) if points else None

    def setting(self) -> str:
        """A hash that trials share if nothing but what is averaged over differs."""
        return identity(without(essence(self.config), AVERAGED))


def collect(folder: Path) -> list[Trial]:
    """All trials in a sweep's folder, by the name of their own.

    Raises:
        ValueError: there are none.
    """
    trials = []
    for path in sorted(path for path in folder.glob("*") if path.is_dir()):
        about = read_about(path)
        if about is not None:
            overrides = dict(line.lstrip("+~").partition("=")[::2] for line in about["overrides"])
            config, _ = add_later(about["config"])
            trials.append(Trial(path, overrides, about["choices"], config, read_result(path)))
    if not trials:
        raise ValueError(f"{folder} holds no trials of a sweep; name a folder such as multirun/seed-1a2b3c")
    return trials


def check_folder(folder: Path) -> None:
    """A sweep's report takes the place of what is called so in its folder.

    Raises:
        ValueError: a single run lies there.
    """
    if (folder / "receipt.json").is_file():
        raise ValueError(f"{folder} holds a run, whose report.html a sweep would write over: give another folder")


def varying(trials: list[Trial]) -> list[str]:
    """The keys whose values differ: of command lines, and of configuration files where those alone do not tell."""
    given = dict.fromkeys(key for trial in trials for key in trial.overrides if not is_beside(key))
    names = [key for key in given if key not in AVERAGED and len({trial.value(key) for trial in trials}) > 1]
    alike: dict[tuple[str, ...], Trial] = {}
    for trial in trials:
        other = alike.setdefault(tuple(map(trial.value, names)), trial)
        if other.setting() != trial.setting():  # the files in between were changed
            mine, theirs = (keys(without(essence(one.config), AVERAGED)) for one in (trial, other))
            leaves = [key for key in dict.fromkeys(mine + theirs) if not any(k.startswith(f"{key}.") for k in mine)]
            names += [key for key in leaves if trial.value(key) != other.value(key) and key not in names]
    return names
