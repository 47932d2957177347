"""From a checkpoint back to a model: the configuration in it is checked like one from a command line."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from maskrcnn.config.build import build
from maskrcnn.config.compose import check, to_plain
from maskrcnn.config.groups import CONF
from maskrcnn.config.limits import check_limits
from maskrcnn.config.nested import at, keys
from maskrcnn.config.suggest import suggest_key
from maskrcnn.engine.architecture import explained
from maskrcnn.engine.rules import check_channels
from maskrcnn.engine.train import train
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.run_files import checkpoint, receipt_file
from maskrcnn.run_files.sources import fingerprints

FAR_MORE = 10  # times; another architecture by an override has less, and is told by the keys that differ


class Restored(NamedTuple):
    """A trained model and what it was made of."""

    model: MaskRCNN  # in evaluation mode, on the CPU
    config: dict[str, Any]  # resolved and checked
    classes: list[str]
    category_ids: list[int | str]


def override_config(config: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Changes values of a checkpoint's configuration and resolves it.

    Raises:
        ValueError: an override without "=", of a key that is not there, or of a whole part as if it were one value; or
            an interpolation that would run a resolver.
    """
    if _calls_resolver(config):
        raise ValueError("the checkpoint's configuration holds an interpolation with a resolver; it was not opened")
    known = keys(config)
    plugins = tuple(f"{plugin}." for plugin in config.get("plugins", []))
    changed = OmegaConf.create(config)
    for override in overrides:
        key, equals, value = override.partition("=")
        # A class of the user's may have gained a key since training; whether it has one is checked with all others.
        parent = at(config, key.rpartition(".")[0])
        gained = isinstance(parent, dict) and str(parent.get("_target_")).startswith(plugins)
        if not equals or not (key in known or gained):
            raise ValueError(f"override={override}: unknown key '{key}'. {suggest_key(key, known)}".rstrip())
        before = OmegaConf.select(changed, key)
        # Of a node, what is given changes, unless it is to be another; any other mapping, such as a class map, is
        # replaced as a whole.
        node = OmegaConf.is_dict(before) and "_target_" in before
        given = yaml.safe_load(value)
        if node and not isinstance(given, dict | None):
            single = next((f"{key}.{name}" for name in before if name != "_target_"), f"{key}.KEY")
            raise ValueError(
                f"override={override}: a checkpoint has no groups to choose from; of {key} single keys change, such as "
                f"{single}=..."
            )
        same = node and (given or {}).get("_target_", before["_target_"]) == before["_target_"]
        OmegaConf.update(changed, key, given, merge=same)
    return to_plain(changed)


def _calls_resolver(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_calls_resolver, value.values()))
    if isinstance(value, list):
        return any(map(_calls_resolver, value))
    return isinstance(value, str) and "${" in value and ":" in value.partition("${")[2]


@contextlib.contextmanager
def _no_larger_than(state: dict[str, Tensor], path: str | Path) -> Iterator[None]:
    """Stops the making of a model that has far more weights than a file has for it, before it fills the memory."""
    most, made = FAR_MORE * sum(value.numel() for value in state.values() if isinstance(value, Tensor)), 0
    here = threading.get_ident()

    def count(module: nn.Module, name: str, weights: Tensor | None) -> None:
        nonlocal made
        # The hook is one for all threads.
        made += weights.numel() if weights is not None and threading.get_ident() == here else 0
        if made > most:
            raise ValueError(
                f"{path} was not opened: the model that its configuration describes has more than {FAR_MORE} times as "
                "many weights as the file"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


@contextlib.contextmanager
def _by_torchs_own_defaults() -> Iterator[None]:
    """Has torch make numbers of 32 bits on the CPU, whatever the program that loads a model wants by default."""
    theirs = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(theirs)


def restore(path: str | Path, overrides: list[str], plugins: list[str]) -> Restored:
    """Reads a checkpoint and builds its model. No code of the file runs: weights load as plain tensors, and its
    configuration may name only what the allow-list covers, plus the plugins given here.

    Args:
        path: of the checkpoint; overrides: changes to its configuration, as "key=value"; plugins: packages of the user.

    Raises:
        ValueError: the file, an override or a target is refused; the message says why.
    """
    loaded = checkpoint.read(path)
    run = Path(path).parent.parent
    if plugins and (run / receipt_file.NAME).is_file():
        before = receipt_file.last_start(receipt_file.read(run))["versions"]
        for what in receipt_file.changed_versions(before, fingerprints(plugins)):
            warnings.warn(f"{what} changed since {path} was trained", stacklevel=2)
    content = loaded["maskrcnn"]
    stored = {**content["config"], "plugins": plugins}
    if stored["callbacks"].get("mean_ap") is None:  # training can do without; what scores or pastes masks asks it
        default = OmegaConf.load(CONF / "callbacks" / "default.yaml").mean_ap
        mean_ap = OmegaConf.to_container(default, resolve=False)
        stored["callbacks"] = {**stored["callbacks"], "mean_ap": mean_ap}
    config = override_config(stored, overrides)
    try:
        check(config, train)
    except ValueError as error:
        newer = "; a newer version of maskrcnn may have written it" if str(error).startswith("unknown key") else ""
        raise ValueError(f"the configuration in {path}: {str(error).rstrip('.')}{newer}") from None
    check_limits(config)
    check_channels(config)
    state = checkpoint.model_state(loaded)
    # Weights are drawn, to be replaced.
    with _no_larger_than(state, path), _by_torchs_own_defaults(), torch.random.fork_rng(devices=[]):
        model = build(config["model"], plugins, "model")(len(content["classes"]), config["data"]["channels"])
    with explained(config):
        checkpoint.load_state(model, state, path)
    return Restored(model.eval(), config, content["classes"], content["category_ids"])
