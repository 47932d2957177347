"""How the parts of the detector are joined: what each is made from, and whether it returns what it says."""

import inspect
import re
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

Part = TypeVar("Part")
_NO_SIZE = re.compile("allocate|[Oo]verflow")  # what torch says of one


def wire(name: str, make: Callable[..., Part], *wired: object) -> Part:
    """Makes a part from the arguments that come before those of the configuration.

    Args:
        name: of the part in the configuration's `model`; make: takes `wired` by position.

    Raises:
        ValueError: it takes others, or is of a size that no memory here has.
    """
    try:
        inspect.signature(make).bind(*wired)
    except TypeError as error:
        called = f"{getattr(make, 'func', make).__name__}({', '.join(map(str, wired))})"
        raise ValueError(
            f"model.{name} cannot be made by {called}: {error}. The docstring of MaskRCNN says what comes by position; "
            "what the configuration chooses is keyword-only"
        ) from error
    try:
        return make(*wired)
    except (RuntimeError, TypeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not _NO_SIZE.search(str(error)):
            raise
        why = str(error).partition("\n")[0].rpartition("Allocator: ")[2]
        raise ValueError(
            f"model.{name} cannot be made: give it, or the part before it, sizes that fit into memory "
            f"(width, channels, features); torch says: {why}"
        ) from error


def check_backbone(backbone: nn.Module) -> None:
    """Checks what a backbone says of its maps.

    Raises:
        ValueError: it does not say `channels` and `strides`, or they are not those of a pyramid.
    """
    _check_says(backbone, "backbone", ("channels", "strides"))
    channels, strides = tuple(getattr(backbone, "channels")), tuple(getattr(backbone, "strides"))
    name = type(backbone).__name__
    if any(b != 2 * a for a, b in zip(strides, strides[1:])) or strides[-1] > 32:
        raise ValueError(
            f"the backbone {name} has the strides {strides}: each must be twice the one before, as regions choose "
            "their level by that, and the last at most 32, the unit of canvases"
        )
    if len(channels) != len(strides):
        raise ValueError(
            f"the backbone {name} says channels {channels} and strides {strides}; give one of each for every map it "
            "returns"
        )


def check_neck(neck: nn.Module) -> None:
    """Checks what a neck says of its maps.

    Raises:
        ValueError: it does not say `channels`, `strides` and `roi_strides`, or the latter are not the first strides.
    """
    _check_says(neck, "neck", ("channels", "strides", "roi_strides"))
    strides, roi_strides = tuple(getattr(neck, "strides")), tuple(getattr(neck, "roi_strides"))
    if not roi_strides or strides[: len(roi_strides)] != roi_strides or not isinstance(getattr(neck, "channels"), int):
        raise ValueError(
            f"the neck {type(neck).__name__} says channels {getattr(neck, 'channels')}, strides {strides} and "
            f"roi_strides {roi_strides}; give one number of channels for all its maps, and as roi_strides the strides "
            "of the first ones, from which regions are pooled"
        )


def check_maps(kind: str, part: nn.Module, maps: tuple[Tensor, ...], of: Tensor) -> None:
    """Checks that a part returned the maps that it says; anchors and regions would otherwise lie elsewhere, unnoticed.

    Args:
        kind: backbone or neck; part: it; maps: what it returned of the pictures `of` [B, C, H, W].

    Raises:
        ValueError: they are others.
    """
    if torch.compiler.is_compiling():  # a graph needs no guards for this
        return
    if not isinstance(maps, tuple | list):
        raise ValueError(
            f"the {kind} {type(part).__name__} returned a {type(maps).__name__}; its forward must return a tuple of "
            "maps [B, C, H, W], the finest first"
        )
    strides: tuple[int, ...] = tuple(getattr(part, "strides"))
    said: int | tuple[int, ...] = getattr(part, "channels")
    channels = (said,) * len(strides) if isinstance(said, int) else tuple(said)
    kept = len(maps) == len(strides)
    for level, depth, stride in zip(maps, channels, strides):
        beside = max(abs(cells * stride - side) for cells, side in zip(level.shape[2:], of.shape[2:]))
        kept = kept and level.shape[1] == depth and beside < stride
    if not kept:
        made = ", ".join(" x ".join(map(str, level.shape[1:])) for level in maps)
        raise ValueError(
            f"the {kind} {type(part).__name__} says channels {channels} and strides {strides}, but made of "
            f"{' x '.join(map(str, of.shape[2:]))} pixels {len(maps)} maps of {made} (channels x height x width): "
            "say what it makes, one of each for every map"
        )


def check_anchors(part: nn.Module, anchors: tuple[Tensor, ...], per_cell: int, maps: tuple[Tensor, ...]) -> None:
    """Checks that anchors [A_l, 4] of each level are as many as the RPN scores.

    Raises:
        ValueError: they are not.
    """
    if torch.compiler.is_compiling():
        return
    wanted = [(level.shape[2] * level.shape[3] * per_cell, 4) for level in maps]
    if [tuple(level.shape) for level in anchors] != wanted:
        raise ValueError(
            f"the anchors {type(part).__name__} are {[tuple(level.shape) for level in anchors]} of the levels; with "
            f"their per_cell={per_cell} they must be {wanted}, by row, column and anchor"
        )


def _check_says(part: nn.Module, kind: str, names: tuple[str, ...]) -> None:
    if any(not hasattr(part, name) for name in names):
        said = " and ".join([", ".join(f"`{name}`" for name in names[:-1]), f"`{names[-1]}`"])
        raise ValueError(f"the {kind} {type(part).__name__} must say {said} of the maps it returns")
