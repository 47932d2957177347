from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import default_rng
from pycocotools import mask as coco_mask

from maskrcnn.data.layers import Layers, count_pixels, find_extents, stack_masks

HEIGHT, WIDTH = 60, 80


def blobs(count: int, seed: int, extent: int) -> np.ndarray:
    """Ellipses [count, HEIGHT, WIDTH] uint8 that may overlap, reach over the border or hold each other."""
    rng = default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    y, x = rng.integers(HEIGHT, size=(count, 1, 1)), rng.integers(WIDTH, size=(count, 1, 1))
    a, b = rng.uniform(1, extent, size=(2, count, 1, 1))
    return (((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 <= 1).astype(np.uint8)


def encode(masks: np.ndarray) -> list[bytes]:
    return [coco_mask.encode(np.asfortranarray(mask))["counts"] for mask in masks]


@pytest.mark.parametrize("count, seed, extent", [(0, 0, 5), (1, 0, 5), (12, 1, 25), (40, 2, 10), (300, 3, 3)])
def test_layers_hold_every_mask(count: int, seed: int, extent: int) -> None:
    masks = blobs(count, seed, extent)
    layers = stack_masks(encode(masks), HEIGHT, WIDTH)
    assert len(layers.places) == count
    for mask, (layer, id_) in zip(masks, layers.places, strict=True):
        np.testing.assert_array_equal(layers.images[layer] == id_, mask)


def test_masks_apart_share_a_layer() -> None:
    masks = np.zeros((300, HEIGHT, WIDTH), np.uint8)
    masks.reshape(300, -1)[np.arange(300), np.arange(300) * 16] = 1  # a pixel each
    layers = stack_masks(encode(masks), HEIGHT, WIDTH)
    assert layers.places == [(0, id_) for id_ in range(1, 301)]  # more than a byte holds
    assert [extent.instance for extent in find_extents(layers)] == list(range(300))


def test_masks_that_overlap_lie_on_different_layers() -> None:
    masks = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    masks[0, 5:20, 5:20] = masks[1, 19:30, 19:30] = masks[2, 20:25, 5:10] = 1
    assert [layer for layer, _ in stack_masks(encode(masks), HEIGHT, WIDTH).places] == [0, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_extents_are_those_of_the_pixels(seed: int) -> None:
    masks = blobs(20, seed, 15)
    layers = stack_masks(encode(masks), HEIGHT, WIDTH)
    layers.images[0][:, :40] = 0  # what an augmentation may do
    seen = [layers.images[layer] == id_ for layer, id_ in layers.places]
    expected = []
    for instance, mask in enumerate(seen):
        if mask.any():
            rows, columns = np.nonzero(mask)
            expected.append((instance, columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    found = find_extents(layers)
    assert [(e.instance, e.x1, e.y1, e.x2, e.y2) for e in found] == expected
    assert len(found) < 20


@pytest.mark.parametrize("move", [lambda image: image, lambda image: image[5:40, 10:60], lambda image: np.rot90(image)])
def test_pixels_of_layers_however_they_lie_in_memory(move: Callable[[np.ndarray], np.ndarray]) -> None:
    masks = blobs(20, 4, 15)
    layers = stack_masks(encode(masks), HEIGHT, WIDTH)
    moved = Layers([move(image) for image in layers.images], layers.places)
    assert count_pixels(moved).tolist() == [move(mask).sum() for mask in masks]
    for extent in find_extents(moved):
        rows, columns = np.nonzero(move(masks[extent.instance]))
        assert extent[3:] == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_a_chain_of_overlaps_takes_two_layers() -> None:
    masks = np.zeros((30, HEIGHT, WIDTH), np.uint8)
    for i, mask in enumerate(masks):
        mask[i : i + 2, 0] = 1  # the next one's first pixel is this one's last
    assert [layer for layer, _ in stack_masks(encode(masks), HEIGHT, WIDTH).places] == [0, 1] * 15


def test_masks_that_all_overlap_take_a_layer_each() -> None:
    masks = np.zeros((12, HEIGHT, WIDTH), np.uint8)
    for i, mask in enumerate(masks):
        mask[i:50, i:70] = 1
    assert stack_masks(encode(masks), HEIGHT, WIDTH).places == [(i, i + 1) for i in range(12)]
