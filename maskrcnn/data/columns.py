"""Instance masks as stretches of pixels along the columns of their picture: far fewer than pixels.

COCO's run lengths go along columns too. Flips and windows move stretches as they are; what warps a picture needs pixels
(`regions`).
"""

from typing import NamedTuple

import numpy as np

from maskrcnn.data.rle import find_stretches


class Columns(NamedTuple):
    """Masks [number, height, width]; a mask may have no stretch."""

    number: int  # of masks
    height: int
    width: int
    mask: np.ndarray  # [n] int64, position in the list of masks, ascending
    x: np.ndarray  # [n] int64, ascending for each mask
    y1: np.ndarray  # [n] int64, ascending for each column of a mask
    y2: np.ndarray  # [n] int64, exclusive, more than y1


class Extents(NamedTuple):
    """Where some masks are to be seen."""

    instances: np.ndarray  # [n] int64, positions in the list of masks, ascending
    corners: np.ndarray  # [n, 4] int64, x1, y1, x2, y2: rows y1..y2-1 and columns x1..x2-1 of the picture


def read_columns(masks: list[bytes], height: int, width: int) -> Columns:
    """Masks from their compressed form.

    Args:
        masks: compressed run lengths of COCO.
        height, width: of the picture.
    """
    mask, start, end = find_stretches(masks)
    some = (end > start).nonzero()[0]
    mask, start, end = mask[some], start[some], end[some]
    x = start // height
    before = x * height
    return _split(Columns(len(masks), height, width, mask, x, start - before, end - before))


def _split(columns: Columns) -> Columns:
    """Cuts stretches that go on in further columns at the ends of columns."""
    height, y2 = columns.height, columns.y2
    if (y2 <= height).all():
        return columns
    parts = -(-y2 // height)
    some = np.arange(parts.size).repeat(parts)
    part = np.arange(some.size) - (parts.cumsum() - parts)[some]
    return columns._replace(
        mask=columns.mask[some],
        x=columns.x[some] + part,
        y1=np.where(part == 0, columns.y1[some], 0),
        y2=np.minimum(y2[some] - part * height, height),
    )


def arrange(columns: Columns) -> Columns:
    """Puts stretches in order: by mask, then by column, then from top to bottom."""
    number, height, width, mask, x, y1, y2 = columns
    bits = mask.size.bit_length()
    if (number * width * height).bit_length() + bits < 64:
        keys = ((mask * width + x) * height + y1) << bits | np.arange(mask.size)
        keys.sort()  # a quarter of the time of np.argsort
        order = keys & (1 << bits) - 1
    else:
        order = np.lexsort((y1, x, mask))
    return Columns(number, height, width, mask[order], x[order], y1[order], y2[order])


def flip(columns: Columns, *, horizontally: bool, vertically: bool) -> Columns:
    """Masks of a picture whose left and right change places, or its top and bottom, or both."""
    if horizontally:
        columns = columns._replace(x=columns.width - 1 - columns.x)
    if vertically:
        columns = columns._replace(y1=columns.height - columns.y2, y2=columns.height - columns.y1)
    return arrange(columns) if horizontally or vertically else columns


def cut(columns: Columns, window: tuple[int, int, int, int]) -> Columns:
    """What of masks is to be seen in a window x1, y1, x2, y2, the latter two exclusive, in its own pixels."""
    left, top, right, bottom = window
    number, height, width, mask, x, y1, y2 = columns
    if window == (0, 0, width, height):
        return columns
    y1, y2 = np.maximum(y1, top), np.minimum(y2, bottom)
    some = ((x >= left) & (x < right) & (y1 < y2)).nonzero()[0]
    return Columns(number, bottom - top, right - left, mask[some], x[some] - left, y1[some] - top, y2[some] - top)


def select(columns: Columns, masks: np.ndarray) -> Columns:
    """Some of the masks [m] int64, ascending positions."""
    position = np.full(columns.number, -1)
    position[masks] = np.arange(len(masks))
    new = position[columns.mask]
    some = (new >= 0).nonzero()[0]
    return columns._replace(
        number=len(masks), mask=new[some], x=columns.x[some], y1=columns.y1[some], y2=columns.y2[some]
    )


def count_pixels(columns: Columns) -> np.ndarray:
    """Pixels [number] int64 of each mask."""
    return np.bincount(columns.mask, columns.y2 - columns.y1, minlength=columns.number).astype(np.int64)


def find_extents(columns: Columns) -> Extents:
    """The extents of the masks that have a pixel."""
    mask = columns.mask
    if not mask.size:
        return Extents(np.zeros(0, np.int64), np.zeros((0, 4), np.int64))
    new = (mask[1:] != mask[:-1]).nonzero()[0]
    first, last = np.concatenate(([0], new + 1)), np.concatenate((new, [mask.size - 1]))
    corners = np.empty((first.size, 4), np.int64)
    corners[:, 0], corners[:, 2] = columns.x[first], columns.x[last] + 1
    corners[:, 1] = np.minimum.reduceat(columns.y1, first)
    corners[:, 3] = np.maximum.reduceat(columns.y2, first)
    return Extents(mask[first], corners)
