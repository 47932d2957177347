import numpy as np
import pytest

from maskrcnn.visualize.view import OUTSIDE, View, around, whole

CANVAS = np.random.default_rng(0).integers(0, 200, (6, 8, 3), dtype=np.uint8)
RED = (255, 0, 0)


def test_pixels_are_repeated_and_what_is_outside_is_grey() -> None:
    shown = View(-1, 2, 3, (6, 9)).show(CANVAS, 1)
    np.testing.assert_array_equal(shown[:, :3], np.full((6, 3, 3), OUTSIDE))
    np.testing.assert_array_equal(shown[:, 3:], np.kron(CANVAS[2:4, :2], np.ones((3, 3, 1), np.uint8)))


def test_cells_of_a_map_lie_where_their_pixels_are() -> None:
    # Cells of 4 pixels at a scale of 2: the window begins in the middle of the second.
    shown = View(6, 0, 2, (8, 12)).show(CANVAS[:1], 4)
    want = [CANVAS[0, 1]] * 4 + [CANVAS[0, 2]] * 8
    np.testing.assert_array_equal(shown, np.array([want] * 8))


def test_a_reduced_picture_is_averaged() -> None:
    shown = View(0, 0, 0.5, (3, 4)).show(CANVAS, 1)
    means = CANVAS.reshape(3, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(shown - means).max() <= 0.5


@pytest.mark.parametrize("size", [(100, 100), (30, 200), (200, 30)])
def test_the_whole_canvas_fits(size: tuple[int, int]) -> None:
    view = whole(60, 80, size)
    assert view.size == tuple(round(side * view.scale) for side in (60, 80))
    assert view.size[0] == size[0] or view.size[1] == size[1]
    assert view.size[0] <= size[0] and view.size[1] <= size[1]


def test_a_box_lies_in_the_middle_with_its_margin() -> None:
    view = around(np.array([10.0, 20, 30, 60]), (104, 300))
    assert view.scale == 104 / (40 + 2 * 6)  # the height is what fills the drawing
    np.testing.assert_allclose(view.place([(10, 20), (30, 60)]), [(150 - 20, 12), (150 + 20, 92)])


def test_a_box_is_drawn_on_its_edges() -> None:
    drawing = np.zeros((60, 60, 3), np.uint8)
    View(1, 2, 10, (60, 60)).box(drawing, np.array([2.0, 3, 5, 6]), RED, 1)
    edge = drawing[..., 0] > 100
    # An edge at 10 lies between the pixels 9 and 10, and a line of 1 pixel is as dark in both.
    assert set(np.flatnonzero(edge.any(axis=1)).tolist()) == set(range(9, 41))
    assert set(np.flatnonzero(edge[25]).tolist()) == {9, 10, 39, 40}
    assert not drawing[12:38, 12:38].any() and not drawing[:8].any() and not drawing[:, 42:].any()


def test_a_dashed_box_has_half_of_the_line() -> None:
    solid, dashed = np.zeros((2, 400, 400, 3), np.uint8)
    view = View(0, 0, 1, (400, 400))
    view.box(solid, np.array([20.5, 20.5, 380.5, 380.5]), RED, 1)
    view.dashed_box(dashed, np.array([20.5, 20.5, 380.5, 380.5]), RED, 1)
    assert not (dashed.any(axis=2) & ~solid.any(axis=2)).any()
    assert 0.5 < (dashed[..., 0] > 128).sum() / (solid[..., 0] > 128).sum() < 0.65  # a dash covers both its ends
