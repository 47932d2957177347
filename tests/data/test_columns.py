"""Masks as stretches along columns, against the same done to pixels."""

import numpy as np
import pytest
from numpy.random import default_rng

from maskrcnn.data.columns import Columns, arrange, count_pixels, cut, find_extents, flip, read_columns, select
from tests.data.masks import columns_of, extent

HEIGHT, WIDTH = 40, 30


def draw(count: int, seed: int, share: float = 0.5) -> np.ndarray:
    """Masks [count, HEIGHT, WIDTH] uint8: noise, whole columns, a whole picture, single pixels, and one with none."""
    rng = default_rng(seed)
    masks = (rng.random((count, HEIGHT, WIDTH)) < share).astype(np.uint8)
    masks[0] = 1
    masks[1] = 0
    masks[2, :, 4:9] = 1  # a stretch that goes on from column to column
    masks[3] = 0
    masks[3, -1, -1] = 1
    masks[4, :, -1] = 1  # up to the last pixel
    return masks


def pixels(columns: Columns) -> np.ndarray:
    """The masks, stretch by stretch; and checks that the stretches are in order, apart, and within the picture."""
    masks = np.zeros((columns.number, columns.height, columns.width), np.uint8)
    stretches = list(zip(*(values.tolist() for values in columns[3:]), strict=True))
    assert stretches == sorted(stretches)
    for mask, x, y1, y2 in stretches:
        assert 0 <= x < columns.width and 0 <= y1 < y2 <= columns.height
        assert not masks[mask, y1:y2, x].any()
        masks[mask, y1:y2, x] = 1
    return masks


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_stretches_are_the_pixels(share: float) -> None:
    masks = draw(9, 1, share)
    np.testing.assert_array_equal(pixels(columns_of(masks)), masks)
    assert count_pixels(columns_of(masks)).tolist() == masks.sum(axis=(1, 2)).tolist()


def test_a_picture_without_masks() -> None:
    none = read_columns([], HEIGHT, WIDTH)
    for columns in (none, flip(none, horizontally=True, vertically=True), cut(none, (3, 4, 5, 6))):
        assert columns.number == 0
        assert pixels(columns).size == 0
        assert find_extents(columns).corners.tolist() == []


@pytest.mark.parametrize("horizontally", [False, True])
@pytest.mark.parametrize("vertically", [False, True])
def test_flips_move_pixels(horizontally: bool, vertically: bool) -> None:
    masks = draw(9, 2)
    expected = masks[:, :: -1 if vertically else 1, :: -1 if horizontally else 1]
    flipped = flip(columns_of(masks), horizontally=horizontally, vertically=vertically)
    np.testing.assert_array_equal(pixels(flipped), expected)


@pytest.mark.parametrize("side", [10**3, 10**6, 10**8])
def test_stretches_of_pictures_of_any_size_are_put_in_order(side: int) -> None:
    rng = default_rng(side)
    mask, x, y1 = rng.integers(900, size=3000), rng.integers(side, size=3000), rng.integers(side - 1, size=3000)
    columns = arrange(Columns(900, side, side, mask, x, y1, y1 + 1))
    stretches = list(zip(*(values.tolist() for values in columns[3:6]), strict=True))
    assert stretches == sorted(zip(mask.tolist(), x.tolist(), y1.tolist(), strict=True))
    assert (columns.y2 == columns.y1 + 1).all()


@pytest.mark.parametrize("window", [(0, 0, WIDTH, HEIGHT), (3, 7, 20, 31), (0, 39, 30, 40), (29, 0, 30, 40)])
def test_windows_cut_pixels(window: tuple[int, int, int, int]) -> None:
    masks = draw(9, 3, 0.9)
    x1, y1, x2, y2 = window
    np.testing.assert_array_equal(pixels(cut(columns_of(masks), window)), masks[:, y1:y2, x1:x2])


def test_selected_masks_keep_their_pixels() -> None:
    masks = draw(9, 4)
    for chosen in ([2, 3, 8], [1], []):
        np.testing.assert_array_equal(pixels(select(columns_of(masks), np.array(chosen, np.int64))), masks[chosen])


@pytest.mark.parametrize("seed", range(5))
def test_extents_are_those_of_the_pixels(seed: int) -> None:
    masks = draw(9, seed, 0.004)
    instances, corners = find_extents(columns_of(masks))
    expected = {instance: extent(mask) for instance, mask in enumerate(masks) if mask.any()}
    assert dict(zip(instances.tolist(), corners.tolist(), strict=True)) == expected
    assert len(expected) < 9
