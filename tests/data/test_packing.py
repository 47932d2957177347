"""Masks packed many at once, against what reading and rasterising them one by one gives."""

from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng
from pycocotools import mask as coco_mask

from maskrcnn.data.packing import pack_masks
from maskrcnn.data.segmentation import Defect, compress, is_polygon, rasterise, store

SIZE = (40, 60)
SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]
TWICE = SQUARE * 2  # wound twice around: no pixel, by the even-odd rule


def random_polygon(rng: np.random.Generator, height: int, width: int) -> list[float]:
    """A star, a double loop, a band, a flat or a tangled polygon, near or off the picture, on or off the pixel grid."""
    count, kind = int(rng.integers(3, 20)), int(rng.integers(5))
    scale = float(np.exp(rng.uniform(-1, 5)))
    turns = np.linspace(0, 2 * np.pi * (2 if kind == 1 else 1), count * (2 if kind == 1 else 1), endpoint=False)
    circle = scale * np.stack((np.cos(turns), np.sin(turns)), axis=1)
    points = {
        0: circle * rng.uniform(0.1, 1, (len(turns), 1)),
        1: circle,
        2: np.concatenate((circle, circle[:1], circle[:1] * 0.9, circle[::-1] * 0.9)),
        3: np.stack((rng.normal(0, scale, count), rng.normal(0, 0.3, count)), axis=1),
        4: rng.normal(0, scale, (count, 2)),
    }[kind]
    points = points + rng.uniform(-0.3, 1.3, 2) * [width, height]
    step = rng.choice([0.01, 0.5, 1.0])
    return [float(value) for value in ((points / step).round() * step).clip(-9e4, 9e4).ravel()]


@pytest.mark.parametrize("seed", range(20))
def test_packed_polygons_are_what_they_are_alone(seed: int) -> None:
    rng = default_rng(seed)
    sizes = [tuple(rng.integers(1, [5, 50, 500][seed % 3] + 1, 2).tolist()) for _ in range(300)]
    segmentations: list[Any] = [[random_polygon(rng, *size) for _ in range(rng.integers(1, 4))] for size in sizes]
    packed = pack_masks(segmentations, sizes)
    for segmentation, size, mask in zip(segmentations, sizes, packed, strict=True):
        if mask is not None:
            assert (mask, 0) == store(segmentation, *size)  # which raises where no pixel is inside
            assert rasterise([mask], *size) == [compress(segmentation, *size)[0]]


def test_what_is_certain() -> None:
    square = np.zeros(SIZE, np.uint8, order="F")
    square[10:20, 10:20] = 1
    counts = coco_mask.encode(square)["counts"]
    runs = {"size": list(SIZE), "counts": counts.decode()}
    packed = pack_masks(
        [[SQUARE], [TWICE], [TWICE, SQUARE], [[0, 0, 1, 0, 1, 1]], runs, [SQUARE, [1, 1, 2, 2]]], [SIZE] * 6
    )
    assert [mask is not None for mask in packed] == [True, False, True, False, True, False]
    assert packed[4] == counts
    assert rasterise([packed[i] for i in (0, 4, 2)], *SIZE) == [counts] * 3  # type: ignore[misc]
    with pytest.raises(Defect, match="a mask without a pixel inside the picture"):
        compress([TWICE], *SIZE)


def test_a_broken_mask_leaves_the_others_to_be_read_alone() -> None:
    good = {"size": list(SIZE), "counts": [41, 5, 2354]}
    expected = store(good, *SIZE)[0]
    short = {"size": list(SIZE), "counts": [41, 5]}
    empty = {"size": list(SIZE), "counts": [2400]}
    assert pack_masks([good, short, empty], [SIZE] * 3) == [expected, None, None]
    assert pack_masks([good, {"size": list(SIZE), "counts": "zzzz"}], [SIZE] * 2) == [None, None]


def test_a_fine_outline_is_not_taken_for_a_long_one() -> None:
    angles = np.linspace(0, 2 * np.pi, 6000, endpoint=False)
    circle = 1500 * np.stack((np.cos(angles), np.sin(angles)), axis=1)  # 9,400 pixels around
    assert is_polygon(circle.ravel().tolist())
    assert not is_polygon(circle[np.arange(6000) * 2999 % 6000].ravel().tolist())  # to and fro
