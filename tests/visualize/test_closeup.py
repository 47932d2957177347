"""Pieces of pictures with boxes and masks on them."""

import numpy as np

from maskrcnn.visualize.closeup import Outline, Shade, closeup

RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_boxes_and_rims_lie_where_they_do_in_the_picture() -> None:
    picture = np.full((100, 120, 3), 200, np.uint8)
    mask = np.zeros((100, 120), bool)
    mask[42:58, 42:58] = True
    drawn = closeup(picture, [Outline([40, 40, 60, 60], RED)], [Shade(mask, BLUE)])
    # 20 px and a margin of 12 each way, and one more pixel: 45, which is enlarged 7 times; it begins at 28.
    assert drawn.shape == (45 * 7, 45 * 7, 3)
    red, blue = (drawn == RED).all(axis=2), (drawn == BLUE).all(axis=2)
    for found, first, last in ((red, 12 * 7, 32 * 7 - 1), (blue, 14 * 7, 30 * 7 - 1)):
        rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
        assert (rows[0], rows[-1], columns[0], columns[-1]) == (first, last, first, last)
        assert not found[first + 2 : last - 1, first + 2 : last - 1].any()
    assert (drawn[~red & ~blue] == 200).all()


def test_a_large_piece_is_thinned_out_and_a_box_beyond_the_picture_is_cut() -> None:
    picture = np.full((700, 900, 1), 200, np.uint8)
    drawn = closeup(picture, [Outline([-50, 100, 850, 650], RED)], [])
    assert drawn.shape == (234, 300, 3)
    red = (drawn == RED).all(axis=2)
    assert red[40:200, :2].all() and red[33, 50] and not red[60, 50]


def test_dark_pieces_are_brightened() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[50:, :] = 20
    drawn = closeup(picture, [Outline([40, 40, 60, 60], RED)], [])
    assert set(np.unique(drawn[:, 2]).tolist()) == {0, 255}
    picture[50, 50] = 150  # one that is not dark leaves all as it is
    assert set(np.unique(closeup(picture, [Outline([40, 40, 60, 60], RED)], [])[:, 2]).tolist()) == {0, 20}
