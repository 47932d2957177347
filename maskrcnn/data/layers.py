"""Instance masks as layers of ids: masks that do not overlap share a layer, so a warp costs the same for any number.

A picture of 375 nuclei is two layers instead of 375 masks. Only warps that move whole pixels (nearest neighbour) may be
applied to ids.
"""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.data.rle import Stretches, find_stretches

FULL = 255  # ids of a uint8 layer; 0 is the ground


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

    images: list[np.ndarray]  # [height, width] uint8 each
    places: list[tuple[int, int]]  # layer and id of each mask


def stack_masks(masks: list[bytes], height: int, width: int) -> Layers:
    """Puts each mask into the first layer where it overlaps none.

    Args:
        masks: compressed run lengths of COCO.
        height, width: of the picture.
    """
    stretches = find_stretches(masks)
    mask, start, end = stretches
    places = _choose_places(_find_overlaps(stretches, len(masks)))
    layers, ids = np.array(places, np.int64).reshape(-1, 2).T
    images = []
    for layer in range(layers.max(initial=-1) + 1):
        chosen = layers[mask] == layer
        edges = np.zeros(2 * np.count_nonzero(chosen) + 2, np.int64)  # its stretches and the ground between, in turns
        edges[1:-1:2], edges[2:-1:2], edges[-1] = start[chosen], end[chosen], height * width
        lengths = np.diff(edges)
        values = np.zeros(lengths.size, np.uint8)
        values[1::2] = ids[mask[chosen]]
        images.append(cv2.transpose(np.repeat(values, lengths).reshape(width, height)))
    return Layers(images, places)


def _find_overlaps(stretches: Stretches, count: int) -> list[list[int]]:
    """For each of a number of masks, those before it that it shares a pixel with."""
    mask, start, end = stretches
    overlaps = np.zeros((count, count), bool)
    # A stretch overlaps those after it up to the first that starts beyond its end; all stretches take a step together.
    here, step = np.arange(len(start)), 1
    while here.size:
        here = here[: np.searchsorted(here, len(start) - step)]
        here = here[start[here + step] < end[here]]
        overlaps[mask[here], mask[here + step]] = True
        step += 1
    before: list[list[int]] = [[] for _ in range(count)]
    for later, earlier in np.argwhere(np.tril(overlaps | overlaps.T)).tolist():
        before[later].append(earlier)
    return before


def _choose_places(overlaps: list[list[int]]) -> list[tuple[int, int]]:
    """Layer and id of each mask, from what `_find_overlaps` returns."""
    used: list[int] = []
    places: list[tuple[int, int]] = []
    for earlier in overlaps:
        taken = {places[i][0] for i in earlier}
        free = (layer for layer, ids in enumerate(used) if ids < FULL and layer not in taken)
        layer = next(free, len(used))
        if layer == len(used):
            used.append(0)
        used[layer] += 1
        places.append((layer, used[layer]))
    return places


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
    lengths = np.append(starts[1:], pixels.size)[some] - starts[some]
    rows, x1 = np.divmod(starts[some], width)
    return _Rows(ids[some].astype(np.int64), rows, x1, x1 + lengths)


def count_pixels(layers: Layers) -> np.ndarray:
    """Pixels [n] int64 of each mask."""
    counts = []
    for image in layers.images:
        rows = _find_rows(image)
        counts.append(np.bincount(rows.id, rows.x2 - rows.x1, minlength=FULL + 1))
    return np.array([counts[layer][id_] for layer, id_ in layers.places], np.int64)


def find_extents(layers: Layers) -> list[Extent]:
    """The extents of all masks that have a pixel, in the order of the masks."""
    corners = np.zeros((len(layers.images), FULL + 1, 4), np.int64)
    for image, (x1, y1, x2, y2) in zip(layers.images, corners.transpose(0, 2, 1)):
        rows = _find_rows(image)
        x1[:], y1[:] = image.shape[1], image.shape[0]
        np.minimum.at(x1, rows.id, rows.x1)
        np.minimum.at(y1, rows.id, rows.row)
        np.maximum.at(x2, rows.id, rows.x2)
        np.maximum.at(y2, rows.id, rows.row + 1)
    layer, id_ = np.array(layers.places, np.int64).reshape(-1, 2).T
    found = corners[layer, id_].tolist()
    return [
        Extent(instance, *place, *corner)
        for instance, (place, corner) in enumerate(zip(layers.places, found))
        if corner[2] > 0
    ]
