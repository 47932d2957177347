"""Says what an unknown key may stand for."""

import inspect
import re
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from maskrcnn.config.check import ALIASES, ALLOWED, resolve_target
from maskrcnn.config.composing import composing
from maskrcnn.config.groups import CONF, CONVERSION, check_groups, choices, groups, training_groups
from maskrcnn.config.habits import CHECKPOINT, HABITS
from maskrcnn.config.nested import at, keys
from maskrcnn.config.own import searching
from maskrcnn.config.suggest import did_you_mean, suggest, suggest_key

OWN_FOLDER = re.compile(r"(?:--config-dir|-cd)[= ](\S+)|hydra\.searchpath=")  # with the user's own choices
FOLDERS = ("resume", "run_dir")  # of a run that is trained
OPTIONS = [one for one in get_args_parser()._option_string_actions if one.startswith("--")]  # Hydra's
TRAINING = ("train", "inspect")  # configurations that take all groups and keys of training
SCRIPTS = {  # by their configurations
    "train": "train.py", "search": "search.py", "evaluate": "evaluate.py", "predict": "predict.py", "drop": "drop.py",
    "export": "export.py", "inspect": "inspect_data.py", "convert": "convert_data.py",
}  # fmt: skip


def meant(key: str, value: str, config_name: str, arguments: list[str]) -> str:
    """What an unknown key may stand for, given the groups that the command line chooses."""
    if config_name == "verify":
        return "verify=... replays a run under the run's own configuration; it takes no other key than plugins"
    name = key.lower().rpartition(".")[2]  # Detectron2's keys are in capitals
    config = with_choices(key, config_name, arguments)
    try:
        check_groups(config)
    except ValueError as error:
        return f"Note that {error}"
    above = key.rpartition(".")[0]
    if _is_of_a_plugin(at(config, above)):  # of which keys of ours, and words of others, say nothing
        siblings = [one for one in keys(config) if one.startswith(f"{above}.")]
        if sentence := suggest_key(key, siblings):
            return sentence
    if (option := option_named(key)) is not None:
        return did_you_mean([option])
    if config_name == "export" and key in ("format", "onnx"):
        return "The name says the format: output=model.onnx writes ONNX, output=model.pt2 a program for torch"
    if key.startswith("hydra/"):
        search = ". To search with Optuna: python search.py 'space={optimizer.lr: {low: 1e-4, high: 1e-2}}'"
        return f"Hydra's own choices are hydra/launcher and hydra/sweeper{search if value == 'optuna' else ''}"
    trains = config_name in TRAINING
    packages = training_groups() if trains else {}
    if key in packages and value.startswith("{"):
        package = packages[key]
        below = "" if package == "_global_" else f"; single keys are {package}.KEY=..., new ones +{package}.KEY=..."
        return f"It chooses one of {', '.join(choices(key))}{below}"
    known = [one for one in keys(config) if one not in packages.values() and not _follows(config, one)]
    if "checkpoint" in config:
        file = checkpoint_at(value)
        if key in FOLDERS:
            taken = file or "<a run's folder>/checkpoints/best.ckpt"
            return f"It is a key of train.py; {SCRIPTS[config_name]} takes checkpoint={taken}"
        if file is not None or key in CHECKPOINT:
            return did_you_mean([f"checkpoint={file or value}"])
    if "override" in config:
        whose = "each trial" if config_name == "search" else "the checkpoint"
        top, _, below = key.partition(".")
        if top in groups():
            inside = f"{groups()[top]}.{below}={value}" if below else f"{groups()[top]}.KEY=..."
            return f"Parts are {whose}'s; single keys change with 'override=[\"{inside}\"]'"
        if key in keys(with_choices("", "train", [])) and key not in FOLDERS:
            return f"Keys of {whose} change with 'override=[\"{key}={value}\"]'"
    elif (habit := HABITS.get(key.lower(), HABITS.get(name))) is not None:
        return habit
    elif key in CONVERSION:
        return f"It is a group of convert_data.py: python convert_data.py {key}={value}"
    elif "/" in key:
        group = key.rpartition("/")[2]
        return f"Did you mean {group}={value}?" if group in packages else suggest(group, packages)
    others = [script for name, script in SCRIPTS.items() if key in list(OmegaConf.load(CONF / f"{name}.yaml"))]
    if others and not any(one.endswith(f".{key}") for one in known):
        return f"It is a key of {', '.join(others)}"
    without = _taken_away(key, config, arguments)
    if without is not None:
        return without
    parent = key.rpartition(".")[0]
    more = _parameters(config, parent)
    if name in more:
        return f"It is not in the files, but can be added: +{key}={value}"
    top, _, choice = key.partition(".")
    if choice and top in packages and (CONF / top / f"{choice.partition('.')[0]}.yaml").is_file():
        return f"Did you mean to add {top}={choice.partition('.')[0]}?"
    if not any(one == name or one.endswith(f".{name}") for one in known) and (chosen := _of_a_choice(name, packages)):
        return chosen
    beside = [node for node in packages.values() if parent and node.startswith(f"{parent}.")]  # such as model.backbone
    sentence = suggest_key(key, [*known, *packages, *beside])
    if sentence.startswith("Known") and more:
        sentence = suggest(name, more) or sentence
    if sentence or trains:
        return sentence or "See --help for all keys"
    grouped = CONVERSION if config_name == "convert" else ()
    return f"Known: {', '.join([*grouped, *(one for one in known if '.' not in one)])}"


def _is_of_a_plugin(part: Any) -> bool:
    target = part.get("_target_") if isinstance(part, dict) else None
    return isinstance(target, str) and not ALIASES.get(target, target).startswith(ALLOWED)


def _of_a_choice(name: str, packages: dict[str, str]) -> str:
    """What is to be said of a name that is a choice of a group, or a key of one that is not chosen; else nothing."""
    chosen = [f"{group}={name}" for group in packages if name in choices(group)]
    if chosen:
        return did_you_mean(chosen)
    found: dict[str, list[str]] = {}
    for group, package in packages.items():
        for file in sorted((CONF / group).glob("*.yaml")) if package != "_global_" else ():
            for key in keys(OmegaConf.to_container(OmegaConf.load(file), resolve=False)):
                if key.rpartition(".")[2] == name:
                    found.setdefault(f"{package}.{key}", []).append(f"{group}={file.stem}")
    return next((f"It is {key}, of {' or '.join(files)}." for key, files in found.items()), "")


def _taken_away(key: str, config: dict[str, Any], arguments: list[str]) -> str | None:
    """What is to be said of a key below a part that another override, or a chosen file, sets to null."""
    names = key.split(".")
    for part in (".".join(names[:count]) for count in range(1, len(names))):
        override = next((a for a in arguments if a in (f"{part}=null", f"~{part}")), None)
        if override is not None:
            return f"{override} takes it away: leave out one of the two"
        if part in keys(config) and at(config, part) is None:
            return f"{part} is null, and so has no keys; explain={part} says what set it"
    return None


def with_choices(key: str, config_name: str, arguments: list[str]) -> dict[str, Any]:
    """The configuration with the choices of groups alone; the default's where a choice does not fit either."""
    chosen = [a for a in arguments if a.partition("=")[0] in {*groups(), "hydra.searchpath"} - {key}]
    folder = OWN_FOLDER.search(" ".join(arguments))
    if folder is not None and folder[1]:
        chosen += searching(str(Path(folder[1]).resolve()))
    with composing():
        try:
            config = hydra.compose(config_name, chosen)
        except HydraException:
            config = hydra.compose(config_name)
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    return {str(name): child for name, child in plain.items()}


def _follows(config: dict[str, Any], key: str) -> bool:
    """Whether a key below the top takes its value from another one, which is then the one to change."""
    value = at(config, key)
    return "." in key and isinstance(value, str) and re.fullmatch(r"\$\{[\w.]+\}", value) is not None


def _parameters(config: dict[str, Any], key: str) -> list[str]:
    """What the call at a key would take besides what the files give; our own constructors give all."""
    node = at(config, key)
    if not isinstance(node, dict) or "_target_" not in node or node["_target_"].startswith("maskrcnn."):
        return []
    try:
        return [name for name in inspect.signature(resolve_target(node["_target_"], key, [])).parameters]
    except ValueError:  # of a plugin
        return []


def option_named(name: str) -> str | None:
    """The option of Hydra that a name is, but for dashes and underscores."""
    bare = re.sub("[-_]", "", name)
    return next((one for one in OPTIONS if one.replace("-", "") == bare), None)


def checkpoint_at(path: str) -> str | None:
    """The file of a model that a path names, as itself or as its run's folder; None where it names none."""
    best = Path(path) / "checkpoints" / "best.ckpt"
    return path if path.endswith(".ckpt") else str(best) if best.is_file() else None
