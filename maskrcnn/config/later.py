"""Keys that came after configurations were stored, each with the value that means: as it was before.

A key that is added to a constructor gets a line here where such a value exists; checkpoints and receipts from before
are then read on. Without one they are refused, with the key's name.
"""

import copy
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from maskrcnn.config.nested import join
from maskrcnn.config.written import written

MOST_VALUES = 100_000  # of a configuration, which takes seconds then; ours have some hundreds
_DATA = "maskrcnn.data.datamodule.CocoDataModule"
_BOX_HEAD = "maskrcnn.modeling.box_head.BoxHead"
_MEAN_AP = "maskrcnn.engine.mean_ap.MeanAP"


class Later(NamedTuple):
    """A key and when it came."""

    target: str  # of the nodes that hold it; empty for the top level
    key: str
    before: Any
    since: str  # day


LATER = [
    Later("maskrcnn.modeling.resnet.ResNet", "_partial_", True, "2026-11-23"),
    Later("maskrcnn.modeling.anchors.Anchors", "measured_strides", False, "2026-11-23"),
    Later("maskrcnn.modeling.resnet.ResNet", "stem", "conv7", "2026-11-23"),
    Later(_DATA, "channels", 3, "2026-11-23"),
    Later(_DATA, "max_value", 65535, "2026-11-23"),
    Later(_DATA, "fold", None, "2026-11-23"),
    Later(_DATA, "folds", None, "2026-11-23"),
    Later(_DATA, "val_fraction", None, "2026-11-23"),
    Later(_DATA, "fold_group", None, "2026-11-23"),
    Later(_DATA, "fold_seed", 0, "2026-11-23"),
    Later(_DATA, "fraction", 1.0, "2026-11-23"),
    Later(_DATA, "class_map", None, "2026-11-23"),
    Later(_DATA, "repeat_threshold", 0.0, "2026-11-23"),
    Later(_DATA, "group_by_aspect", False, "2026-11-23"),
    Later(_DATA, "paste", None, "2026-11-23"),
    Later(_DATA, "min_visible", 0.0, "2026-11-23"),
    Later("maskrcnn.engine.optimizer.Optimizer", "layer_decay", 1.0, "2026-11-25"),
    Later(_MEAN_AP, "prefix", "", "2026-11-25"),
    Later(_MEAN_AP, "backend", "pycocotools", "2026-11-25"),
    Later("", "accumulation", {"_target_": "maskrcnn.engine.accumulation.Accumulation", "exact": False}, "2026-11-25"),
    Later(
        "",
        "out_of_memory",
        {"_target_": "maskrcnn.engine.out_of_memory.OutOfMemory", "try_first": "auto", "action": "stop"},
        "2026-11-25",
    ),
    Later(_BOX_HEAD, "nms", "greedy", "2026-11-26"),
    Later(_BOX_HEAD, "nms_sigma", 0.5, "2026-11-26"),
    Later(_DATA, "stretch", None, "2026-11-26"),
    Later(_MEAN_AP, "workers", 0, "2026-11-26"),
    Later("", "cuda_graphs", False, "2026-11-26"),
    Later(_MEAN_AP, "per_class", False, "2026-11-27"),
    Later("maskrcnn.modeling.resnet.ResNet", "stride_in_1x1", False, "2026-11-27"),
    Later("", "weights_colours", None, "2026-11-27"),
]


def add_later(stored: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Later]]:
    """A whole stored configuration with the keys of `LATER` that it lacks, and those keys with their nodes' places.
    What else it lacks stays so.

    Args:
        stored: nested mappings, resolved or not; not changed.
    """
    config = copy.deepcopy(stored)
    added = {}
    for place, node in list(_nodes(config, "")):
        for later in LATER:
            if later.target == (node["_target_"] if place else "") and later.key not in node:
                node[later.key] = copy.deepcopy(later.before)
                added[join(place, later.key)] = later
    return config, added


def renew(stored: dict[str, Any], file: str | Path) -> dict[str, Any]:
    """`add_later`, with one warning that names what was added.

    Args:
        file: that holds the configuration.

    Raises:
        ValueError: it holds more values than any configuration does, or holds itself.
    """
    if _too_many(stored):
        raise ValueError(f"{file} was not opened: its configuration holds more than {MOST_VALUES} values")
    config, added = add_later(stored)
    if added:
        values = ", ".join(f"{key}={written(later.before)}" for key, later in added.items())
        since = min(later.since for later in added.values())
        _warn(f"{file} is from {since} or before; keys that came later are as it was then: {values}")
    return config


@functools.cache  # a run that is resumed reads its checkpoint twice
def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)


def _too_many(value: Any) -> bool:
    """Whether a configuration holds more than `MOST_VALUES`, one by one, though several may be the same object."""
    waiting, seen = [value], 0
    while waiting and seen <= MOST_VALUES:
        one = waiting.pop()
        seen += 1
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
    return seen > MOST_VALUES


def _nodes(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The top level and all nodes with a `_target_`, after their keys."""
    if isinstance(value, dict):
        if not place or "_target_" in value:
            yield place, value
        for name, child in value.items():
            yield from _nodes(child, join(place, name))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _nodes(child, f"{place}[{i}]")
