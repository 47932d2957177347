"""The colour splash: grey but for the objects."""

import numpy as np

from maskrcnn.ops.paste import Crop
from maskrcnn.visualize.splash import colour_splash


def test_objects_keep_their_colours_and_all_else_is_as_bright_but_grey() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    before = picture.copy()
    diagonal = np.eye(10, dtype=bool)
    splash = colour_splash(picture, [Crop(diagonal, 5, 8), Crop(np.ones((3, 2), bool), 37, 48)])
    inside = np.zeros((40, 50), bool)
    inside[5:15, 8:18] = diagonal
    inside[37:, 48:] = True
    np.testing.assert_array_equal(splash[inside], picture[inside])
    luma = picture @ np.array([0.299, 0.587, 0.114])  # Rec. 601
    np.testing.assert_allclose(splash[~inside], luma[~inside, None].repeat(3, axis=1), atol=0.51)
    np.testing.assert_array_equal(picture, before)


def test_without_colours_there_is_nothing_to_keep() -> None:
    picture = np.full((4, 4, 1), 7, np.uint8)
    np.testing.assert_array_equal(colour_splash(picture, [Crop(np.ones((2, 2), bool), 0, 0)]), np.full((4, 4, 3), 7))
