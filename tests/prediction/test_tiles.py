"""Tiles of a picture, and what they see of one object made one, with a model whose output is hand-made."""

import cv2
import numpy as np
import pytest

from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import decode, encode_crops
from maskrcnn.ops.paste import Crop
from maskrcnn.prediction.prediction import decode_crop
from maskrcnn.prediction.seams import merge_tiles
from maskrcnn.prediction.tiles import Find, Tiling, find_in_tiles


def scene(seed: int, height: int, width: int, objects: int, least: int = 2) -> np.ndarray:
    """A picture [h, w, 1] uint8 of ellipses with half axes of `least` to 33 pixels; the value of a pixel is the number
    of its object, 0 is background.
    """
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width), np.uint8)
    for number in range(1, objects + 1):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(least, 34)), int(rng.integers(least, 34)))
        cv2.ellipse(picture, centre, axes, float(rng.integers(180)), 0, 360, number, -1)
    return picture[..., None]


def result(mask: np.ndarray, label: int, score: float) -> Result:
    """A mask [h, w] bool as one result."""
    x, y, width, height = map(float, cv2.boundingRect(mask.astype(np.uint8)))
    (rle,) = encode_crops([Crop(mask, 0, 0)], mask.shape)
    return Result(image_id=0, category_id=label, bbox=[x, y, width, height], score=score, segmentation=rle)


def seeing(blur: int) -> Find:
    """A model that sees each object of a scene, with a border that is wrong by up to so many pixels, otherwise in each
    tile. Scores tell how much of an object is seen.
    """

    def find(pictures: list[np.ndarray]) -> list[list[Result]]:
        found = []
        for picture in pictures:
            results = []
            for number in np.unique(picture[picture > 0]).tolist():
                mask = (picture[..., 0] == number).astype(np.uint8)
                change = (int(picture.sum()) + number) % (2 * blur + 1) - blur
                kernel = np.ones((2 * abs(change) + 1,) * 2, np.uint8)
                changed = (cv2.dilate if change > 0 else cv2.erode)(mask, kernel)
                if changed.any():
                    results.append(result(changed.astype(bool), number % 3, min(int(changed.sum()) / 4000, 1.0)))
            found.append(results)
        return found

    return find


def tiled(find: Find, picture: np.ndarray, tiling: Tiling, batch_size: int = 5) -> list[Result]:
    windows = tiling.windows(*picture.shape[:2])
    return find_in_tiles(find, picture, windows, tiling.overlap, batch_size, lambda done, total: None)


@pytest.mark.parametrize(
    ("length", "starts"), [(100, [0]), (101, [0, 1]), (140, [0, 40]), (160, [0, 60]), (161, [0, 30, 61])]
)
def test_tiles_of_one_size_cover_an_axis_with_the_overlap(length: int, starts: list[int]) -> None:
    tiling = Tiling(size=100, overlap=40)
    windows = tiling.windows(70, length)
    assert windows == [(left, 0, left + min(length, 100), 70) for left in starts]
    assert tiling.windows(length, 70) == [(0, top, 70, top + min(length, 100)) for top in starts]


def test_tiles_of_both_axes_and_none() -> None:
    assert Tiling(size=100, overlap=40).windows(110, 120) == [
        (0, 0, 100, 100), (20, 0, 120, 100), (0, 10, 100, 110), (20, 10, 120, 110),
    ]  # fmt: skip
    assert Tiling(size=None, overlap=40).windows(20_000, 30) == [(0, 0, 30, 20_000)]


@pytest.mark.parametrize("overlap", [0, 7, 51])
def test_an_overlap_that_cannot_join_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="size is 15; tiles have sides of 16 pixels or more, and null cuts nothing"):
        Tiling(size=15, overlap=8)
    with pytest.raises(ValueError, match=f"overlap is {overlap}; with tiles of size=100 give 8 to 50"):
        Tiling(size=100, overlap=overlap)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("size", "overlap"), [(96, 32), (128, 48), (250, 16)])
def test_tiles_give_the_same_masks_as_the_whole_picture(seed: int, size: int, overlap: int) -> None:
    picture = scene(seed, 260, 420, 40)
    whole = seeing(0)([picture])[0]
    merged = tiled(seeing(0), picture, Tiling(size=size, overlap=overlap))
    for key in ("segmentation", "bbox"):
        assert sorted(str(r[key]) for r in merged) == sorted(str(r[key]) for r in whole)  # type: ignore[literal-required]
    scores = [r["score"] for r in merged]
    assert scores == sorted(scores, reverse=True) and len(scores) > 25


@pytest.mark.parametrize("seed", range(3))
def test_tiles_that_disagree_on_borders_give_as_many_objects(seed: int) -> None:
    picture = scene(seed, 260, 420, 12, least=5)
    merged = tiled(seeing(1), picture, Tiling(size=128, overlap=48))
    assert len(merged) == len(np.unique(picture)) - 1


def test_batches_of_tiles_hold_so_many_and_are_told_of() -> None:
    sizes, told = [], []

    def find(pictures: list[np.ndarray]) -> list[list[Result]]:
        sizes.append([picture.shape for picture in pictures])
        return seeing(0)(pictures)

    picture = scene(0, 100, 300, 5)
    windows = Tiling(size=100, overlap=20).windows(100, 300)
    find_in_tiles(find, picture, windows, 20, 3, lambda done, total: told.append((done, total)))
    assert sizes == [[(100, 100, 1)] * 3, [(100, 100, 1)]] and told == [(3, 4), (4, 4)]


TILES = np.array([[0, 0, 100, 60], [60, 0, 160, 60]])  # which share the columns 60 to 100
SIZE = (60, 160)


def seen(tile: int, x1: int, x2: int, label: int, score: float, y1: int = 10, y2: int = 40) -> Result:
    """What a tile says of a rectangle of the picture, as far as the tile reaches."""
    mask = np.zeros(SIZE, bool)
    mask[y1:y2, x1:x2] = True
    return result(mask[:, TILES[tile, 0] : TILES[tile, 2]], label, score)


def merged(*pieces: Result | int) -> list[tuple[list[float], int, float]]:
    """Boxes, labels and scores of what the two tiles see; a 1 stands between them."""
    split = pieces.index(1)
    results = merge_tiles([list(pieces[:split]), list(pieces[split + 1 :])], TILES, SIZE, 5)  # type: ignore[arg-type]
    for r in results:
        x, y, width, height = map(int, r["bbox"])
        assert decode(r["segmentation"]).sum() == width * height == decode(r["segmentation"])[y:, x:].sum()
    return [(r["bbox"], r["category_id"], r["score"]) for r in results]


def test_a_cut_piece_that_another_tile_sees_better_is_dropped_whatever_it_is_taken_for() -> None:
    whole = ([30.0, 10.0, 50.0, 30.0], 0, 0.6)
    assert merged(seen(0, 30, 80, 0, 0.6), 1, seen(1, 30, 80, 2, 0.9)) == [whole]
    assert merged(seen(0, 30, 80, 0, 0.6), 1) == [whole]
    assert merged(seen(0, 65, 95, 1, 0.3), 1, seen(1, 65, 95, 1, 0.9)) == [([65.0, 10.0, 30.0, 30.0], 1, 0.9)]


def test_pieces_that_no_tile_sees_whole_are_joined_with_the_better_ones_label() -> None:
    assert merged(seen(0, 20, 140, 0, 0.6), 1, seen(1, 20, 140, 2, 0.9)) == [([20.0, 10.0, 120.0, 30.0], 2, 0.9)]


def test_what_two_tiles_see_whole_is_kept_once() -> None:
    assert merged(seen(0, 70, 85, 0, 0.6), 1, seen(1, 71, 86, 0, 0.9)) == [([71.0, 10.0, 15.0, 30.0], 0, 0.9)]
    assert merged(seen(0, 70, 85, 0, 0.9), 1, seen(1, 71, 86, 2, 0.6)) == [([70.0, 10.0, 15.0, 30.0], 0, 0.9)]


def test_neighbours_stay_two() -> None:
    above, below = (10, 25), (25, 40)
    pieces = [seen(tile, 20, 140, 0, 0.9, *rows) for tile in (0, 1) for rows in (above, below)]
    assert [box for box, _, _ in merged(*pieces[:2], 1, *pieces[2:])] == [[20, 10, 120, 15], [20, 25, 120, 15]]
    left, right = seen(0, 65, 78, 0, 0.9), seen(1, 78, 92, 0, 0.8)
    assert [box for box, _, _ in merged(left, 1, right)] == [[65, 10, 13, 30], [78, 10, 14, 30]]


def test_of_two_of_one_tile_one_alone_is_joined_with_a_piece_of_the_other() -> None:
    twice = seen(0, 20, 140, 0, 0.9), seen(0, 30, 140, 0, 0.5)
    boxes = [(box, score) for box, _, score in merged(*twice, 1, seen(1, 30, 140, 0, 0.7))]
    assert boxes == [([20, 10, 120, 30], 0.9), ([30, 10, 70, 30], 0.5)]


def test_nothing_in_no_tile_is_nothing() -> None:
    assert merged(1) == []


def test_a_mask_without_a_pixel_stays_empty() -> None:
    (rle,) = encode_crops([Crop(np.zeros((0, 0), bool), 0, 0)], (60, 100))
    empty = Result(image_id=0, category_id=1, bbox=[5.0, 5.0, 9.0, 9.0], score=0.5, segmentation=rle)
    (one,) = merge_tiles([[], [empty]], TILES, SIZE, 5)
    assert one["bbox"] == [65.0, 5.0, 9.0, 9.0] and not decode(one["segmentation"]).any()
    assert decode_crop(one["segmentation"]).values.shape == (0, 0)
