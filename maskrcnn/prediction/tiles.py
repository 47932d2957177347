"""Large pictures, predicted in overlapping tiles."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from maskrcnn.evaluation.results import Result
from maskrcnn.prediction.seams import merge_tiles

Find = Callable[[list[np.ndarray]], list[list[Result]]]  # the instances in each of some pictures


class Window(NamedTuple):
    """A rectangle of a picture, in pixels, the latter two exclusive."""

    left: int
    top: int
    right: int
    bottom: int


class Tiling:
    """How pictures are cut into tiles.

    Args:
        size: side of a tile in pixels of the picture; null for whole pictures. Best is that of the training pictures,
            as each tile is resized for the network as those were, and at least twice the largest object's.
        overlap: pixels that neighbouring tiles share at least. What is smaller than half of it is seen whole by a tile.

    Raises:
        ValueError: the size is less than 16, or the overlap is not 8 to half of it.
    """

    def __init__(self, *, size: int | None, overlap: int) -> None:
        if size is not None and size < 16:
            raise ValueError(f"size is {size}; tiles have sides of 16 pixels or more, and null cuts nothing")
        if size is not None and not 8 <= overlap <= size // 2:
            raise ValueError(f"overlap is {overlap}; with tiles of size={size} give 8 to {size // 2}")
        self.size, self.overlap = size, overlap

    def windows(self, height: int, width: int) -> list[Window]:
        """The tiles of a picture, row by row: all of one size, spread evenly. A picture no larger is one."""
        tops, tall = self._starts(height)
        lefts, wide = self._starts(width)
        return [Window(left, top, left + wide, top + tall) for top in tops for left in lefts]

    def _starts(self, length: int) -> tuple[list[int], int]:
        """Where tiles start along an axis, and how long they are."""
        if self.size is None or length <= self.size:
            return [0], length
        count = -(-(length - self.overlap) // (self.size - self.overlap))
        return [(length - self.size) * i // (count - 1) for i in range(count)], self.size


def find_in_tiles(
    find: Find,
    picture: np.ndarray,
    windows: list[Window],
    overlap: int,
    batch_size: int,
    done: Callable[[int, int], None],
) -> list[Result]:
    """Finds instances in each tile, and makes one of what several tiles see of an object.

    Beside the picture, memory holds `batch_size` tiles, and what was found, encoded.

    Args:
        find: finds the instances in some tiles.
        picture: [h, w, C] uint8.
        windows: of `Tiling.windows`; overlap: of the tiling.
        batch_size: tiles given to `find` at once.
        done: told after each batch how many tiles of how many are done.

    Returns:
        Results in the frame of the picture, best first.
    """
    found: list[list[Result]] = []
    for start in range(0, len(windows), batch_size):
        batch = windows[start : start + batch_size]
        found += find([picture[w.top : w.bottom, w.left : w.right] for w in batch])
        done(len(found), len(windows))
    return merge_tiles(found, np.array(windows), (picture.shape[0], picture.shape[1]), overlap // 8)
