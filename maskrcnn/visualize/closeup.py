"""A piece of a picture, enlarged, with boxes and a mask on it."""

from typing import NamedTuple

import numpy as np

from maskrcnn.visualize.instances import enlarge, paint_frame, to_rgb
from maskrcnn.visualize.text import Colour

_MARGIN = 0.35  # of the longer side of what is shown, around it
_LEAST = 12  # pixels of the picture around it
_SIDE = 300  # pixels of the result's longer side, about
_DARK = 128  # a piece without a brighter pixel is brightened, as pictures from a microscope need it


class Outline(NamedTuple):
    """A box to draw."""

    box: list[float]  # x1, y1, x2, y2 in pixels of the picture
    colour: Colour


class Shade(NamedTuple):
    """A mask to draw."""

    mask: np.ndarray  # [h, w] bool of the whole picture
    colour: Colour


def closeup(picture: np.ndarray, outlines: list[Outline], shades: list[Shade]) -> np.ndarray:
    """The piece of a picture that holds all boxes, the first ones on top, with the rims of masks; brightened if it is
    dark.

    Args:
        picture: [h, w, C] u8, RGB if C is 3; outlines: at least one.

    Returns:
        [h', w', 3] u8 RGB, with a longer side of about 300 pixels.
    """
    corners = np.array([outline.box for outline in outlines], np.float64)
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    margin = max(_MARGIN * float((high - low).max()), _LEAST)
    height, width = picture.shape[:2]
    left, top = (int(max(edge - margin, 0)) for edge in low)
    right, bottom = min(int(high[0] + margin) + 1, width), min(int(high[1] + margin) + 1, height)
    left, top = min(left, width - 1), min(top, height - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    step = max(1, round(max(right - left, bottom - top) / _SIDE))  # of a large piece, every so many pixels
    zoom = max(1, round(_SIDE / max(right - left, bottom - top)))
    window = (slice(top, bottom, step), slice(left, right, step))
    piece = to_rgb(picture)[window]
    brightest = max(int(piece.max()), 1)
    if brightest < _DARK:
        piece = (piece * (255 / brightest)).astype(np.uint8)
    canvas = np.ascontiguousarray(enlarge(piece, zoom))
    scale = zoom / step
    for shade in shades:
        mask = enlarge(shade.mask[window], zoom)
        inner = np.pad(mask, 2)
        core = mask.copy()
        for shift in ((0, 2), (4, 2), (2, 0), (2, 4)):  # two pixels up, down, left and right
            core &= inner[shift[0] : shift[0] + mask.shape[0], shift[1] : shift[1] + mask.shape[1]]
        canvas[mask & ~core] = shade.colour
    for outline in reversed(outlines):
        x1, y1, x2, y2 = (round((edge - start) * scale) for edge, start in zip(outline.box, (left, top, left, top)))
        x1, y1 = max(x1, 0), max(y1, 0)
        paint_frame(canvas[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)], outline.colour, 2)
    return canvas
