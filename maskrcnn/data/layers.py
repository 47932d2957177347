"""Instance masks as layers of ids: masks that do not overlap share a layer, so a warp costs the same for any number.

A picture of 375 nuclei is two layers instead of 375 masks. Only warps that move whole pixels (nearest neighbour) may be
applied to ids.
"""

import itertools
from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.data.rle import Stretches, find_stretches


class Extent(NamedTuple):
    """Where an instance is to be seen, in pixels: rows y1..y2-1 and columns x1..x2-1."""

    instance: int  # position in the list of masks
    layer: int
    id: int  # its value in that layer
    x1: int
    y1: int
    x2: int
    y2: int


class Layers(NamedTuple):
    """Masks [n, height, width] in few layers."""

    images: list[np.ndarray]  # [height, width] each: uint8, or uint16 if there are more than 255 masks; 0 is the ground
    places: list[tuple[int, int]]  # layer and id of each mask


def stack_masks(masks: list[bytes], height: int, width: int) -> Layers:
    """Puts each mask into the first layer where it overlaps none.

    Args:
        masks: compressed run lengths of COCO.
        height, width: of the picture.
    """
    stretches = find_stretches(masks)
    mask, start, end = stretches
    layers = _choose_layers(stretches, len(masks))
    assert len(masks) < 2**16
    ids = np.arange(1, len(masks) + 1).astype(np.uint8 if len(masks) < 256 else np.uint16)
    images = []
    for layer in range(layers.max(initial=-1) + 1):
        chosen = np.flatnonzero(layers[mask] == layer)
        edges = np.zeros(2 * chosen.size + 2, np.int64)  # its stretches and the ground between, in turns
        edges[1:-1:2], edges[2:-1:2], edges[-1] = start[chosen], end[chosen], height * width
        values = np.zeros(edges.size - 1, ids.dtype)
        values[1::2] = ids[mask[chosen]]
        images.append(cv2.transpose(np.repeat(values, np.diff(edges)).reshape(width, height)))
    return Layers(images, list(zip(layers.tolist(), ids.tolist())))


def _choose_layers(stretches: Stretches, count: int) -> np.ndarray:
    """The layer [count] int64 of each mask: the first that none before it takes with which it shares a pixel."""
    mask, start, end = stretches
    pairs = [np.zeros(0, np.int64)]  # the later one times `count`, plus the earlier one
    # A stretch overlaps those after it up to the first that starts beyond its end; all stretches take a step together.
    here, step = np.arange(len(start)), 1
    while here.size:
        here = here[: np.searchsorted(here, len(start) - step)]
        here = here[start[here + step] < end[here]]
        one, other = mask[here], mask[here + step]
        pairs.append(np.maximum(one, other) * count + np.minimum(one, other))
        step += 1
    layers = np.zeros(count, np.int64)
    taken: dict[int, set[int]] = {}
    for later, earlier in (divmod(pair, count) for pair in np.unique(np.concatenate(pairs)).tolist()):
        # In ascending order, so that the earlier one has its layer.
        taken.setdefault(later, set()).add(int(layers[earlier]))
        layers[later] = next(layer for layer in itertools.count() if layer not in taken[later])
    return layers


class _Rows(NamedTuple):
    """The pixels of a layer's masks, in stretches along its rows."""

    id: np.ndarray  # [n] int64, not 0
    row: np.ndarray  # [n] int64
    x1: np.ndarray  # [n] int64
    x2: np.ndarray  # [n] int64, exclusive


def _find_rows(image: np.ndarray) -> _Rows:
    """Equal neighbours in a row of a layer, taken together: some hundred times fewer than pixels."""
    width = image.shape[1]
    pixels = image.ravel()
    changes = np.ones(pixels.size, bool)
    np.not_equal(pixels[1:], pixels[:-1], out=changes[1:])
    changes[::width] = True
    starts = np.flatnonzero(changes)
    ids = pixels[starts]
    some = np.flatnonzero(ids)
    start = starts[some]
    row = start // width  # a tenth of the time of np.divmod
    x1 = start - row * width
    return _Rows(ids[some].astype(np.int64), row, x1, x1 + np.append(starts[1:], pixels.size)[some] - start)


def count_pixels(layers: Layers) -> np.ndarray:
    """Pixels [n] int64 of each mask."""
    counts = []
    for image in layers.images:
        rows = _find_rows(image)
        counts.append(np.bincount(rows.id, rows.x2 - rows.x1, minlength=_end(layers)))
    return np.array([counts[layer][id_] for layer, id_ in layers.places], np.int64)


def find_extents(layers: Layers) -> list[Extent]:
    """The extents of all masks that have a pixel, in the order of the masks."""
    corners = np.zeros((len(layers.images), 4, _end(layers)), np.int64)
    for image, (x1, y1, x2, y2) in zip(layers.images, corners):
        rows = _find_rows(image)
        x1[:] = image.shape[1]
        np.minimum.at(x1, rows.id, rows.x1)
        np.maximum.at(x2, rows.id, rows.x2)
        # Rows come from top to bottom, and of values for one place the last stays.
        y1[rows.id[::-1]] = rows.row[::-1]
        y2[rows.id] = rows.row + 1
    layer, id_ = np.array(layers.places, np.int64).reshape(-1, 2).T
    found = corners[layer, :, id_].tolist()
    return [
        Extent(instance, *place, *corner)
        for instance, (place, corner) in enumerate(zip(layers.places, found))
        if corner[2] > 0
    ]


def _end(layers: Layers) -> int:
    """One more than the largest id, also of masks that are in the images only."""
    ids = [id_ for _, id_ in layers.places]
    return max([*ids, *(int(image.max(initial=0)) for image in layers.images)], default=0) + 1
