"""Copy-paste against loops over pixels, and by eye."""

import numpy as np
import pytest
from numpy.random import default_rng

from maskrcnn.data.copy_paste import GROUND, CopyPaste
from maskrcnn.data.regions import paint_regions
from maskrcnn.data.resize import View
from maskrcnn.data.scene import Scene, cut_out, make_scene
from tests.data.masks import columns_of

ALL = 1000


def scene(masks: np.ndarray, colour: int, view: View | None = None, first_label: int = 0) -> Scene:
    """A picture of one grey, with masks [n, h, w]; seen as it is unless a view is given."""
    height, width = masks.shape[1:]
    view = view or View((0, 0, width, height), (height, width), (height, width))
    image = np.full((height, width, 3), colour, np.uint8)
    return make_scene(image, columns_of(masks), np.arange(first_label, first_label + len(masks)), view)


def boxes(shape: tuple[int, int], *corners: tuple[int, int, int, int]) -> np.ndarray:
    """Rectangles x1, y1, x2, y2 as masks."""
    masks = np.zeros((len(corners), *shape), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, corners, strict=True):
        mask[y1:y2, x1:x2] = 1
    return masks


def paste_everything(below: Scene, above: Scene) -> tuple[Scene, Scene]:
    """A draw that pastes all that can be pasted."""
    results = (CopyPaste(most=ALL)(below, above, 0.0, default_rng(seed)) for seed in range(60))
    return max(results, key=lambda pair: len(pair[1].labels))


def test_covered_pixels_are_lost_by_eye() -> None:
    below = scene(boxes((40, 60), (0, 0, 20, 20), (30, 30, 34, 34), (50, 0, 60, 10)), 10)
    above = scene(boxes((40, 60), (10, 5, 40, 40)), 200, first_label=7)
    pasted, beside = paste_everything(below, above)
    expected = np.full((40, 60), 10)
    expected[5:40, 10:40] = 200
    np.testing.assert_array_equal(pasted.image[..., 1], expected)
    kept, new = cut_out(pasted, 0.0), cut_out(beside, 0.0)
    assert kept.labels.tolist() == [0, 2]  # the second is covered wholly
    assert kept.boxes.tolist() == [[0, 0, 20, 20], [50, 0, 60, 10]]
    assert kept.mask_sizes.tolist() == [[20, 20], [10, 10]]
    assert (kept.masks[0][:5, :20] == 255).all()  # an L now
    assert (kept.masks[0][5:20, :10] == 255).all()
    assert (kept.masks[0][5:, 10:] == 0).all()
    assert new.labels.tolist() == [7]
    assert new.boxes.tolist() == [[10, 5, 40, 40]]
    assert new.mask_sizes.tolist() == [[35, 30]]
    assert (new.masks[0, :35, :30] == 255).all()


def test_the_least_visible_share() -> None:
    below = scene(boxes((40, 60), (0, 0, 20, 20)), 10)
    above = scene(boxes((40, 60), (10, 5, 40, 40)), 200)
    pasted, _ = paste_everything(below, above)  # 400 - 150 pixels are left
    assert cut_out(pasted, 0.625).labels.tolist() == [0]
    assert cut_out(pasted, 0.63).labels.tolist() == []


def test_the_share_counts_what_the_view_cut_off() -> None:
    view = View((5, 0, 15, 10), (10, 10), (10, 10))
    cut = scene(boxes((10, 20), (0, 0, 10, 4), (0, 6, 6, 10)), 10, view)  # half, and a sixth, are left
    assert cut_out(cut, 0.5).labels.tolist() == [0]
    assert cut_out(cut, 0.1).boxes.tolist() == [[0, 0, 5, 4], [0, 6, 1, 10]]
    for seed in range(20):  # too little of an object is not pasted either
        _, beside = CopyPaste(most=ALL)(scene(boxes((10, 10)), 10), cut, 0.5, default_rng(seed))
        assert 1 not in beside.labels


@pytest.mark.parametrize("seed", range(6))
def test_different_scales_as_loops_do(seed: int) -> None:
    rng = default_rng(seed)
    blobs = [(rng.random((6, *shape)) > 0.7).astype(np.uint8) for shape in ((30, 40), (25, 35))]
    canvas = (48, 64)
    sizes = [tuple(rng.integers(10, 48, size=2).tolist()) for _ in range(2)]
    below = scene(blobs[0], 10, View((0, 0, 40, 30), sizes[0], canvas))
    above = scene(blobs[1], 200, View((0, 0, 35, 25), sizes[1], canvas))
    pasted, beside = paste_everything(below, above)
    assert len(beside.labels) == 6
    union = blobs[1].any(axis=0)

    def covered(y: float, x: float) -> bool:
        """Whether a point of the network's picture lies in a pixel of a pasted object."""
        row, column = int(y / sizes[1][0] * 25), int(x / sizes[1][1] * 35)
        return row < 25 and column < 35 and bool(union[row, column])

    height, width = pasted.image.shape[:2]
    assert height == max(sizes[0][0], int(np.ceil(np.nonzero(union.any(axis=1))[0][-1] + 1) * sizes[1][0] / 25 + 0.999))
    for row in range(height):
        for column in range(width):
            ground = 10 if row < sizes[0][0] and column < sizes[0][1] else GROUND
            assert pasted.image[row, column, 0] == (200 if covered(row + 0.5, column + 0.5) else ground)
    regions = paint_regions(pasted.masks)
    for instance, mask in enumerate(blobs[0]):
        left = np.isin(regions.image, regions.ids[regions.masks == instance])
        for row in range(30):
            for column in range(40):
                hidden = covered((row + 0.5) / 30 * sizes[0][0], (column + 0.5) / 40 * sizes[0][1])
                assert left[row, column] == (mask[row, column] and not hidden)


def test_nothing_reaches_beyond_the_canvas() -> None:
    below = scene(boxes((10, 10), (0, 0, 5, 5)), 10, View((0, 0, 10, 10), (10, 10), (30, 20)))
    masks = boxes((25, 20), (2, 2, 18, 4), (15, 20, 20, 25), (0, 18, 4, 25))
    above = scene(masks, 200, View((0, 0, 20, 25), (50, 40), (50, 40)), first_label=5)  # twice as large
    pasted, beside = paste_everything(below, above)
    assert beside.labels.tolist() == [5]  # the others begin at row 36
    assert pasted.image.shape[:2] == (10, 20)
    objects = cut_out(beside, 0.0)
    assert objects.boxes.tolist() == [[4, 4, 20, 8]]
    assert (pasted.image[4:8, 4:20] == 200).all()
    assert (pasted.image[:4, 10:] == GROUND).all()


def test_any_number_of_objects_and_each_as_often() -> None:
    above = scene(boxes((8, 40), *((4 * i, 0, 4 * i + 3, 8) for i in range(4))), 200)
    below = scene(boxes((8, 40)), 10)
    labels = [CopyPaste(most=3)(below, above, 0.0, default_rng(seed))[1].labels.tolist() for seed in range(2000)]
    assert all(chosen == sorted(set(chosen)) for chosen in labels)
    numbers = np.bincount([len(chosen) for chosen in labels])
    assert np.abs(numbers - 500).max() < 4 * np.sqrt(2000 * 0.25 * 0.75)  # 0, 1, 2 and 3
    objects = np.bincount([label for chosen in labels for label in chosen])
    assert np.abs(objects - 750).max() < 4 * np.sqrt(2000 * 0.375 * 0.625)


def test_nothing_to_paste() -> None:
    below = scene(boxes((10, 10), (0, 0, 5, 5)), 10)
    pasted, beside = CopyPaste(most=5)(below, scene(boxes((10, 10)), 200), 0.0, default_rng(0))
    assert pasted is below
    assert cut_out(beside, 0.0).boxes.shape == (0, 4)


def test_nothing_to_cover() -> None:
    pasted, beside = paste_everything(scene(boxes((10, 10)), 10), scene(boxes((10, 10), (0, 0, 5, 5)), 200))
    assert cut_out(pasted, 0.0).labels.shape == (0,)
    assert cut_out(beside, 0.0).boxes.tolist() == [[0, 0, 5, 5]]
    assert (pasted.image[:5, :5] == 200).all()


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"paste\.most is 0; give 1 or more, or switch pasting off with data\.paste=nu"
    ):
        CopyPaste(most=0)
