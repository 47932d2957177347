from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import default_rng
from pycocotools import mask as coco_mask

from maskrcnn.data.columns import count_pixels, find_extents, read_columns
from maskrcnn.data.regions import Regions, find_columns, paint_regions
from tests.data.masks import columns_of, extent

HEIGHT, WIDTH = 60, 80


def blobs(count: int, seed: int, extent: int) -> np.ndarray:
    """Ellipses [count, HEIGHT, WIDTH] uint8 that may overlap, reach over the border or hold each other."""
    rng = default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    y, x = rng.integers(HEIGHT, size=(count, 1, 1)), rng.integers(WIDTH, size=(count, 1, 1))
    a, b = rng.uniform(1, extent, size=(2, count, 1, 1))
    return (((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 <= 1).astype(np.uint8)


def ids_of_masks(regions: Regions) -> list[list[int]]:
    return [regions.ids[regions.masks == mask].tolist() for mask in range(regions.number)]


def extents(regions: Regions) -> list[tuple[int, ...]]:
    """Position, x1, y1, x2, y2 of each that is to be seen."""
    instances, corners = find_extents(find_columns(regions))
    return [(instance, *corner) for instance, corner in zip(instances.tolist(), corners.tolist(), strict=True)]


def paint(masks: np.ndarray) -> Regions:
    return paint_regions(columns_of(masks))


CASES = [(0, 0, 5), (1, 0, 5), (12, 1, 25), (40, 2, 10), (64, 4, 20), (65, 5, 20), (130, 6, 8), (300, 3, 3)]


@pytest.mark.parametrize("count, seed, extent", CASES)
def test_regions_hold_every_mask(count: int, seed: int, extent: int) -> None:
    masks = blobs(count, seed, extent)
    regions = paint(masks)
    image = regions.image
    assert image.dtype == (np.uint8 if image.max() < 256 else np.uint16)
    assert (image > 0).tolist() == masks.any(axis=0).tolist()
    for mask, of_mask in zip(masks, ids_of_masks(regions), strict=True):
        np.testing.assert_array_equal(np.isin(image, of_mask), mask)


def test_masks_apart_have_an_id_each() -> None:
    masks = np.zeros((300, HEIGHT, WIDTH), np.uint8)
    masks.reshape(300, -1)[np.arange(300), np.arange(300) * 16] = 1  # a pixel each
    regions = paint(masks)
    assert ids_of_masks(regions) == [[id_] for id_ in range(1, 301)]  # more than a byte holds
    assert [extent[0] for extent in extents(regions)] == list(range(300))


def test_masks_that_overlap_share_an_id() -> None:
    masks = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    masks[0, 5:20, 5:20] = masks[1, 19:30, 19:30] = masks[2, 20:25, 5:10] = 1
    regions = paint(masks)
    assert ids_of_masks(regions) == [[1, 4], [2, 4], [3]]
    np.testing.assert_array_equal(np.argwhere(regions.image == 4), [[19, 19]])


@pytest.mark.parametrize("seed", range(5))
def test_extents_are_those_of_the_pixels(seed: int) -> None:
    masks = blobs(20, seed, 15)
    regions = paint(masks)
    regions.image[:, :40] = 0  # what an augmentation may do
    seen = [np.isin(regions.image, ids) for ids in ids_of_masks(regions)]
    expected = [(instance, *extent(mask)) for instance, mask in enumerate(seen) if mask.any()]
    assert extents(regions) == expected
    assert len(expected) < 20


@pytest.mark.parametrize("move", [lambda image: image, lambda image: image[5:40, 10:60], lambda image: np.rot90(image)])
def test_pixels_of_regions_however_they_lie_in_memory(move: Callable[[np.ndarray], np.ndarray]) -> None:
    masks = blobs(20, 4, 15)
    regions = paint(masks)
    moved = regions._replace(image=move(regions.image))
    assert count_pixels(find_columns(moved)).tolist() == [move(mask).sum() for mask in masks]
    for instance, *corner in extents(moved):
        assert corner == extent(move(masks[instance]))


def test_a_chain_of_overlaps() -> None:
    masks = np.zeros((30, HEIGHT, WIDTH), np.uint8)
    for i, mask in enumerate(masks):
        mask[i : i + 2, 0] = 1  # the next one's first pixel is this one's last
    regions = paint(masks)
    assert np.unique(regions.image).tolist() == [0, 1, 30, *range(31, 60)]  # the first's and last's own, and 29 shared
    assert sorted(len(of_mask) for of_mask in ids_of_masks(regions)) == [2, 2] + [3] * 28


def test_masks_that_all_overlap_are_counted_whole() -> None:
    masks = np.zeros((12, HEIGHT, WIDTH), np.uint8)
    for i, mask in enumerate(masks):
        mask[i:50, i:70] = 1
    regions = paint(masks)
    assert count_pixels(find_columns(regions)).tolist() == masks.sum(axis=(1, 2)).tolist()
    assert [len(of_mask) for of_mask in ids_of_masks(regions)] == [12, *range(12, 1, -1)]


def test_too_many_ways_to_overlap_are_refused() -> None:
    masks = default_rng(0).integers(2, size=(40, 260, 260), dtype=np.uint8)  # hardly a pixel is as another
    with pytest.raises(ValueError, match=r"a picture's 40 masks overlap in 67\d{3} ways, more than fit: remove some"):
        paint(masks)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 7), (7, 1), (3, 5), (64, 3)])
def test_masks_of_whole_columns_and_pictures(height: int, width: int) -> None:
    masks = np.ones((4, height, width), np.uint8)  # a stretch that goes on from column to column, to the last pixel
    masks[1, :, : width // 2 + 1] = masks[2, : height // 2] = masks[3, 0, 0] = 0
    regions = paint(masks)
    for mask, ids in zip(masks, ids_of_masks(regions), strict=True):
        np.testing.assert_array_equal(np.isin(regions.image, ids), mask)
    assert count_pixels(find_columns(regions)).tolist() == masks.sum(axis=(1, 2)).tolist()


def test_runs_without_pixels_among_others() -> None:
    counts = coco_mask.frPyObjects({"size": [4, 3], "counts": [2, 0, 1, 2, 3, 0, 4]}, 4, 3)["counts"]
    assert paint_regions(read_columns([counts], 4, 3)).image.T.ravel().tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("count, seed, extent", CASES)
def test_columns_of_regions_are_those_that_were_painted(count: int, seed: int, extent: int) -> None:
    columns = columns_of(blobs(count, seed, extent))
    image = paint_regions(columns)
    found = find_columns(image)
    assert found[:3] == columns[:3]
    for name in ("mask", "x"):  # a stretch may be in parts now, where other masks begin or end
        assert set(getattr(found, name).tolist()) == set(getattr(columns, name).tolist())
    assert count_pixels(found).tolist() == count_pixels(columns).tolist()
    np.testing.assert_array_equal(find_extents(found).corners, find_extents(columns).corners)
