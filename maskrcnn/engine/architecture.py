"""Weights of another architecture, told by what their configuration has otherwise, or by the backbone they fit."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import yaml

from maskrcnn.config.build import build
from maskrcnn.config.difference import told
from maskrcnn.config.groups import CONF
from maskrcnn.config.later import renew
from maskrcnn.config.nested import differing
from maskrcnn.modeling.weights import OtherArchitecture, read


@contextmanager
def explained(config: dict[str, Any]) -> Iterator[None]:
    """Within it, a checkpoint of ours that does not fit is told by the keys of its configuration, not by its tensors,
    and a file of another project by the choice of `backbone` that has its tensors.

    Args:
        config: of the model that it does not fit.

    Raises:
        OtherArchitecture: weights do not fit the model.
    """
    try:
        yield
    except OtherArchitecture as error:
        stored = read(error.path).get("maskrcnn")
        if stored is None:
            reasons = _backbone(error.shapes, config)
        else:
            reasons = _differences(renew(stored["config"], error.path), config)
        if not reasons:
            raise
        raise OtherArchitecture(error.path, error.given, reasons, error.shapes) from error


def _backbone(shapes: dict[str, torch.Size], config: dict[str, Any]) -> list[str]:
    """Names the choice of `backbone` that a file's tensors fill best, if that is better than the configuration's."""
    theirs = {key: shape for key, shape in shapes.items() if key.startswith("backbone.")}

    def unfilled(backbone: Any, device: str) -> float:
        with torch.device(device):
            state = build(backbone, config["plugins"])(config["data"]["channels"]).state_dict(prefix="backbone.")
        own = {key: value.shape for key, value in state.items()}
        return len(own.keys() - theirs.keys()) if theirs.items() <= own.items() else math.inf

    files = sorted((CONF / "backbone").glob("*.yaml"))
    found = {path.stem: unfilled(yaml.safe_load(path.read_text(encoding="utf-8")), "meta") for path in files}
    best = min(found, key=found.__getitem__)
    if found[best] >= unfilled(config["model"]["backbone"], "cpu"):  # one of the user's own may need numbers
        return []
    return [f"its backbone is that of backbone={best}, with the values of that choice's file"]


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    pairs = list(differing(there["model"], here["model"], "model"))
    pairs += differing(there["data"]["channels"], here["data"]["channels"], "data.channels")
    return [f"{key}={told(old)} there, {told(new)} here" for key, old, new in pairs]
