import numpy as np
import pytest
from numpy.random import default_rng
from pycocotools import mask as coco_mask

from maskrcnn.data.outline import outline_polygons
from maskrcnn.data.rle import Runs, decode_window, find_stretches, read_runs
from tests.data.masks import encode


def random_mask(seed: int, height: int, width: int) -> np.ndarray:
    """Blobs that may touch any side of the picture, with holes and parts that touch at corners only."""
    rng = default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 6)):
        y, x = rng.integers(height), rng.integers(width)
        mask[y : y + rng.integers(1, height + 1), x : x + rng.integers(1, width + 1)] ^= 1
    mask[rng.integers(height), rng.integers(width)] = 1
    return mask


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 40), (300, 200)])
def test_windows_hold_the_mask(seed: int, size: tuple[int, int]) -> None:
    mask = random_mask(seed, *size)
    (counts,) = encode([mask])
    window, x, y = decode_window(counts, size[0])
    whole = np.zeros(size, np.uint8)
    whole[y : y + window.shape[0], x : x + window.shape[1]] = window
    np.testing.assert_array_equal(whole, mask)
    assert window[0].any()
    assert window[-1].any()
    assert window[:, 0].any()
    assert window[:, -1].any()


def flat(runs: Runs) -> list[int]:
    """Outside, inside, outside, ..."""
    return np.stack((runs.outside, runs.inside), axis=1).ravel().tolist()


def test_runs_of_a_known_mask() -> None:
    runs = [41, 5, 2000, 70000, 3, 1, 1]
    size = [sum(runs), 1]
    counts = coco_mask.frPyObjects({"size": size, "counts": runs}, *size)["counts"]
    assert flat(read_runs([counts])) == [*runs, 0]


def test_many_masks_are_read_as_one_by_one() -> None:
    sizes = [(13, 40), (1, 9), (300, 200), (9, 1), (1, 1), (64, 64)]
    masks = encode(random_mask(i, *size) for i, size in enumerate(sizes))
    runs = read_runs(masks)
    alone = [flat(read_runs([mask])) for mask in masks]
    assert [flat(Runs(*(column[runs.mask == i] for column in runs))) for i in range(len(masks))] == alone
    assert [sum(lengths) for lengths in alone] == [height * width for height, width in sizes]
    assert [len(part) for part in read_runs([])] == [0, 0, 0]
    for broken in (b"", b"5P"):  # 5P would go on in the next mask's first character
        with pytest.raises(ValueError, match="not a run-length encoding"):
            read_runs([masks[0], broken, masks[1]])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 40)])
def test_stretches_hold_the_masks(size: tuple[int, int]) -> None:
    masks = np.array([random_mask(seed, *size) for seed in range(6)])
    found = find_stretches(encode(masks))
    columns = np.zeros((6, size[1] * size[0]), int)
    for mask, start, end in zip(*found, strict=True):
        assert start <= end
        columns[mask, start:end] += 1
    np.testing.assert_array_equal(columns.reshape(6, size[1], size[0]).swapaxes(1, 2), masks)


@pytest.mark.parametrize(
    "counts, message",
    [
        (b"", "not a run-length encoding"),
        (b"5\xff", "not a run-length encoding"),
        (b"5 ", "not a run-length encoding"),
        (b"5p", "not a run-length encoding"),
        (b"5P", "not a run-length encoding"),  # the last character says that another follows
        (b"5O", "a negative run"),
        (b"PPPPPPPP0", "a run of 2\\^35 pixels or more"),
    ],
)
def test_broken_runs(counts: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_runs([counts])


@pytest.mark.parametrize("seed", range(30))
def test_outlines_rasterise_to_the_same_mask(seed: int) -> None:
    rng = default_rng(seed)
    rows, columns = np.mgrid[:40, :60]
    mask = np.zeros((40, 60), bool)
    for _ in range(2):  # discs of radius 1 to 8, which overlap, touch and reach over the border
        y, x, radius = rng.uniform(0, 40), rng.uniform(0, 60), rng.uniform(1, 8)
        mask |= (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    if mask.any():
        rles = coco_mask.frPyObjects(outline_polygons(mask), 40, 60)
        np.testing.assert_array_equal(coco_mask.decode(coco_mask.merge(rles)), mask)


def test_outline_of_a_step() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1, 1] = mask[2, 1:3] = True
    (polygon,) = outline_polygons(mask)
    corners = {tuple(polygon[i : i + 2]) for i in range(0, len(polygon), 2)}
    assert corners == {(1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (1, 3)}
    assert len(polygon) == 12
