"""Checks a composed configuration against the signatures of what it names, before anything is built or read.

Every node with a `_target_` is a call: its keys must be keyword parameters of the target, its values must fit their
annotations, and the target must be on the allow-list. One pass covers command line, YAML files, experiments, partial
nodes and free lists alike, which schemas registered with Hydra would not: they see neither free lists nor third
parties.
"""

import importlib
import inspect
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from maskrcnn.config.nested import join
from maskrcnn.config.parameters import choosable, read_parameters
from maskrcnn.config.suggest import suggest

# Packages whose classes a configuration may name. Anything else needs `plugins=[package]` on the command line.
ALLOWED = (
    "maskrcnn.",
    "torch.optim.",
    "albumentations.",
    "pytorch_lightning.trainer.",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
    "pytorch_lightning.profilers.",
)
THIRD_PARTIES = ("torch.", "albumentations.", "pytorch_lightning.")
# Of ours, classes only, and the functions of this package: a command, as a part of a checkpoint, could name plugins.
FUNCTIONS = "maskrcnn.data.convert."
# Public names that are shorter than the module they lie in.
ALIASES = {"pytorch_lightning.Trainer": "pytorch_lightning.trainer.Trainer"}
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
SPECIAL = {"_target_", "_partial_"}
MISSING = "???"  # OmegaConf's mark for what must be given; `compose.check` names all of them at once


def resolve_target(target: Any, key: str, plugins: list[str]) -> Callable[..., Any]:
    """Imports what a `_target_` names, if the allow-list or a plugin covers it.

    The object's own module must lie in an allowed package, not only the path to it: `maskrcnn.x.os.system` is refused.

    Raises:
        ValueError: the target is not allowed, does not exist, or cannot be called.
    """
    if not isinstance(target, str) or "." not in target:
        raise ValueError(
            f"{key}._target_ is {target!r}; it must be the full name of a class, such as maskrcnn.modeling.fpn.FPN"
        )
    allowed = ALLOWED + tuple(f"{plugin}." for plugin in plugins)
    near = suggest(target.split(".")[0], {prefix.split(".")[0] for prefix in allowed})
    meant = f"{near} " if near.startswith("Did") else ""
    refusal = (
        f"{key}._target_ is {target!r}, which is not among the packages that a configuration may call "
        f"({', '.join(prefix[:-1] for prefix in allowed)}). {meant}If the code is yours, add "
        f"plugins=[{target.split('.')[0]}] to the command line."
    )
    path = ALIASES.get(target, target)
    if not path.startswith(allowed):
        raise ValueError(refusal)
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        parent, _, missing = str(error.name).rpartition(".")
        if parent in sys.modules:  # its package is there
            beside = [one.name for one in pkgutil.iter_modules(getattr(sys.modules[parent], "__path__", []))]
            remedy = f". {suggest(missing, beside)}".rstrip(". ")
        else:
            remedy = ": start in the folder that holds it, or install it"
        raise ValueError(f"{key}._target_ is {target!r}, but there is no module {error.name!r}{remedy}") from error
    if not hasattr(module, name):
        public = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise ValueError(f"{key}._target_: {module_name} has no {name!r}. {suggest(name, public)}")
    found = getattr(module, name)
    if not callable(found):
        raise ValueError(f"{key}._target_: {target} is not a class or function")
    ours = target.startswith("maskrcnn.") or target.startswith(tuple(f"{plugin}." for plugin in plugins))
    if not f"{found.__module__}.".startswith(allowed) or not (
        inspect.isclass(found) or (ours and inspect.isfunction(found))
    ):
        raise ValueError(refusal)
    if inspect.isfunction(found) and target.startswith("maskrcnn.") and not target.startswith(FUNCTIONS):
        raise ValueError(f"{key}._target_ is {target!r}, a function that no configuration may call; name a class")
    return found


def describe(annotation: Any) -> str:
    """A type in a user's words: "true or false", "one of sgd, adamw"."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        # Choices of all parts together; Lightning lists 16 as a number and as a text.
        chosen = dict.fromkeys(str(one) for part in arguments for one in _choices(part))
        others = [describe(part) for part in arguments if not _choices(part)]
        return " or ".join(([f"one of {', '.join(chosen)}"] if chosen else []) + others)
    if annotation is type(None):
        return "null"
    if annotation is bool:
        return "true or false"
    if annotation in (int, float, str):
        return annotation.__name__
    if origin is list:
        return f"a list, each {describe(arguments[0])}"
    if origin is dict:
        return "a mapping"
    if origin is tuple:
        return f"[{', '.join('...' if one is Ellipsis else describe(one) for one in arguments)}]"
    if origin is Callable or (isinstance(annotation, type) and origin is None):
        return "a mapping with a _target_"
    return str(annotation)


def _choices(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value (of YAML) is of an annotated type; a node with a `_target_` fits any class."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any or annotation is inspect.Parameter.empty:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return value in arguments
    if annotation in (None, type(None)):
        return value is None
    if annotation is bool or annotation is str:
        return isinstance(value, annotation)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    container = origin or annotation
    if container is list:
        return isinstance(value, list) and all(_fits(v, arguments[0]) for v in value if arguments)
    if container is tuple:
        if not isinstance(value, list):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_fits(v, arguments[0]) for v in value)
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if container is dict:
        return isinstance(value, dict) and all(_fits(v, arguments[1]) for v in value.values() if arguments)
    return isinstance(value, dict) and "_target_" in value


def check_call(function: Callable[..., Any], values: dict[str, Any], key: str) -> None:
    """Checks that a mapping could be the keyword arguments of one of our own callables, or of the user's.

    Args:
        function: whose parameters are the configuration's as far as they are `choosable`.
        values: plain values, nodes as mappings.
        key: where the mapping lies, for messages; empty at the top.

    Raises:
        ValueError: an unknown or wired key, a missing one, or a value that does not fit its annotation.
    """
    where = f"{key}." if key else ""
    every = read_parameters(function)
    parameters = choosable(function, values.get("_partial_", False))
    ours = str(values.get("_target_", "maskrcnn.")).startswith("maskrcnn.")
    for name, value in values.items():
        if name in SPECIAL:
            continue
        if name in every.named and name not in parameters and not ours:
            raise ValueError(
                f"'{where}{name}' is given to {function.__name__} by position, by the part that makes it: put `*` "
                "before it in the constructor if the configuration is to choose it"
            )
        if name not in parameters and not every.free:
            sentences = [f"unknown key '{where}{name}'.", suggest(name, parameters)]
            if not ours:
                sentences.append("If a file in the defaults of yours sets it: they are merged; copy that file instead")
            raise ValueError(" ".join(filter(None, sentences)))
        check_value(value, every.hints.get(name, Any), f"{where}{name}")
    for name, parameter in parameters.items():
        if name not in values and parameter.default is parameter.empty:
            raise ValueError(f"'{where}{name}' is missing: {_remedy(function, ours, parameter)}")


def _remedy(function: Callable[..., Any], ours: bool, parameter: inspect.Parameter) -> str:
    """What to do where a parameter without a default is given nothing."""
    if ours:
        return (
            "add it to its file, let a file of your own start from a complete one (defaults: [<another choice of its "
            "group>, _self_]), or leave out the ~ that removed it"
        )
    if parameter.kind is parameter.KEYWORD_ONLY:
        return f"add it to its file, or give it a default in {function.__name__}, which checkpoints from before it need"
    return "add it to its file; or, if the program gives it by position, add '_partial_: true'"


def check_value(value: Any, annotation: Any, key: str) -> None:
    """Checks a value against an annotation, and names the very entry of a mapping that does not fit.

    Raises:
        ValueError: it does not fit.
    """
    if isinstance(value, dict) and typing.get_origin(annotation) is dict:
        for name, child in value.items():
            check_value(child, typing.get_args(annotation)[1], f"{key}.{name}")
    elif value != MISSING and not _fits(value, annotation):
        one = typing.get_origin(annotation) is list and _fits(value, typing.get_args(annotation)[0])
        text = f'"{value}"' if "=" in str(value) else value
        remedy = f": give '{key}=[{text}]'" if one else ""
        if isinstance(value, str) and DECIMAL_COMMA.fullmatch(value) and _fits(0.5, annotation):
            remedy = f": a number has a decimal point: {key}={value.replace(',', '.')}"
        raise ValueError(f"'{key}' is {value!r}, but must be {describe(annotation)}{remedy}")


def _is_plain(annotation: Any) -> bool:
    """Whether an annotation of others' code is of numbers, strings and choices alone, and so can be relied on."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return all(map(_is_plain, typing.get_args(annotation)))
    return typing.get_origin(annotation) is typing.Literal or annotation in (bool, int, float, str, type(None))


def _check_third_party(function: Callable[..., Any], values: dict[str, Any], key: str) -> None:
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    hints = read_parameters(function).hints
    for name, value in values.items():
        if name not in SPECIAL and name not in parameters:
            raise ValueError(
                f"unknown key '{key}.{name}': {values['_target_']} does not take it. "
                f"{suggest(name, parameters)}".rstrip()
            )
        if value is not None and name in hints and _is_plain(hints[name]):
            check_value(value, hints[name], f"{key}.{name}")


def check_nodes(value: Any, key: str, plugins: list[str]) -> None:
    """Checks every node with a `_target_` within a plain value, however deep.

    Raises:
        ValueError: as `resolve_target` and `check_call`; the message starts with the key.
    """
    if isinstance(value, dict):
        if "_target_" in value:
            unknown = [name for name in value if name.startswith("_") and name not in SPECIAL]
            if unknown:
                raise ValueError(
                    f"'{key}.{unknown[0]}' is not supported; of Hydra's special keys only "
                    f"{', '.join(sorted(SPECIAL))} are"
                )
            target = resolve_target(value["_target_"], key, plugins)
            if target.__module__.startswith(THIRD_PARTIES):
                _check_third_party(target, value, key)
            else:
                check_call(target, value, key)
        for name, child in value.items():
            check_nodes(child, join(key, name), plugins)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            check_nodes(child, f"{key}[{i}]", plugins)
