"""Instance masks as layers of ids: masks that do not overlap share a layer, so a warp costs the same for any number.

A picture of 375 nuclei is two layers instead of 375 masks. Only warps that move whole pixels (nearest neighbour) may be
applied to ids.
"""

from typing import NamedTuple

import numpy as np

from maskrcnn.data.rle import decode_window

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
    images: list[np.ndarray] = []
    used: list[int] = []
    places: list[tuple[int, int]] = []
    for counts in masks:
        mask, x, y = decode_window(counts, height)
        window = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
        for layer, image in enumerate(images):
            if used[layer] < FULL and not (image[window] * mask).any():
                break
        else:
            layer = len(images)
            images.append(np.zeros((height, width), np.uint8))
            used.append(0)
        used[layer] += 1
        images[layer][window] += mask * np.uint8(used[layer])
        places.append((layer, used[layer]))
    return Layers(images, places)


def count_pixels(layers: Layers) -> np.ndarray:
    """Pixels [n] int64 of each mask."""
    counts = [np.bincount(image.ravel(), minlength=FULL + 1) for image in layers.images]
    return np.array([counts[layer][id_] for layer, id_ in layers.places], np.int64)


def find_extents(layers: Layers) -> list[Extent]:
    """The extents of all masks that have a pixel, in the order of the masks."""
    extents: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for layer, image in enumerate(layers.images):
        rows, columns = np.nonzero(image)
        ids = image[rows, columns]
        order = np.argsort(ids, kind="stable")
        present, starts = np.unique(ids[order], return_index=True)
        if present.size == 0:
            continue
        lowest = [np.minimum.reduceat(values[order], starts).tolist() for values in (columns, rows)]
        highest = [(np.maximum.reduceat(values[order], starts) + 1).tolist() for values in (columns, rows)]
        for k, id_ in enumerate(present.tolist()):
            extents[layer, id_] = (lowest[0][k], lowest[1][k], highest[0][k], highest[1][k])
    return [
        Extent(instance, *place, *extents[place]) for instance, place in enumerate(layers.places) if place in extents
    ]
