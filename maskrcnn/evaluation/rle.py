"""COCO's run-length encoding of masks (the format of `pycocotools.mask`)."""

from typing import NamedTuple, TypedDict

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.ops.paste import Crop


class Rle(TypedDict):
    """A bitmap as compressed runs, column by column."""

    size: list[int]  # height and width of the picture
    counts: str


class _Runs(NamedTuple):
    """Runs of masks, one mask after the other: zeros and ones in turns, zeros first."""

    lengths: np.ndarray  # [n] int64, pixels
    counts: np.ndarray  # [masks] int64, how many runs each mask has


def encode_crops(crops: list[Crop], size: tuple[int, int]) -> list[Rle]:
    """Encodes masks straight from their crops, all at once; equal to encoding bitmaps of the whole picture.

    Args:
        crops: [h, w] bool each, inside the picture.
        size: height and width of the picture.
    """
    if not crops:
        return []
    texts = _compress(_find_runs(crops, *size))
    return [Rle(size=list(size), counts=text.decode("ascii")) for text in texts]


def _find_runs(crops: list[Crop], height: int, width: int) -> _Runs:
    """The runs of masks along the columns of a picture."""
    # All crops along one line, column by column, with a zero before and after each column: where it changes, a run
    # begins or ends.
    tall = np.array([crop.values.shape[0] + 2 for crop in crops])
    ends = np.cumsum(tall * [crop.values.shape[1] for crop in crops])
    starts = ends - np.diff(ends, prepend=0)
    line = np.zeros(ends[-1] + 1, bool)
    for crop, start, end in zip(crops, starts.tolist(), ends.tolist()):
        line[start:end].reshape(-1, crop.values.shape[0] + 2)[:, 1:-1] = crop.values.T
    edges = np.flatnonzero(line[1:] != line[:-1])
    owner = np.searchsorted(ends, edges, side="right")
    column, row = np.divmod(edges - starts[owner], tall[owner])
    left, top = np.array([(crop.left, crop.top) for crop in crops], np.int64).T
    bounds = (column + left[owner]) * height + row + top[owner]
    # In a crop of the picture's height, a run may go on from the bottom of a column to the top of the next.
    joins = np.flatnonzero((np.diff(bounds) == 0) & (np.diff(owner) == 0))
    kept = np.ones(bounds.size, bool)
    kept[joins] = kept[joins + 1] = False
    bounds, owner = bounds[kept], owner[kept]
    # After each mask's bounds, the end of the picture; a run is the way from one to the next.
    counts = np.bincount(owner, minlength=len(crops)) + 1
    stops = np.full(counts.sum(), height * width, np.int64)
    stops[np.arange(bounds.size) + owner] = bounds
    last = np.cumsum(counts) - 1
    lengths = np.diff(stops, prepend=0)
    lengths[last[:-1] + 1] = stops[last[:-1] + 1]
    empty = last[lengths[last] == 0]  # of masks that hold the last pixel
    counts[np.searchsorted(last, empty)] -= 1
    return _Runs(np.delete(lengths, empty), counts)


def _compress(runs: _Runs) -> list[bytes]:
    """The characters of each mask, as pycocotools' `rleToString`: from the fourth run on, the difference to the one two
    before; 5 bits a character, lowest first, with a sixth that says whether more follow.
    """
    lengths, counts = runs
    ends = np.cumsum(counts)
    values = lengths.copy()
    values[2:] -= np.where(np.arange(2, lengths.size) - np.repeat(ends - counts, counts)[2:] > 2, lengths[:-2], 0)
    places = []  # of a character each, 0 where a number has ended
    more = np.ones(values.size, bool)
    while more.any():
        bits = values & 31
        values >>= 5
        follows = more & np.where(bits & 16, values != -1, values != 0)
        places.append(np.where(more, 48 + bits + 32 * follows, 0).astype(np.uint8))
        more = follows
    codes = np.stack(places, axis=1)
    used = codes > 0
    text = codes[used].tobytes()
    stops = np.cumsum(used.sum(axis=1))[ends - 1].tolist()
    return [text[start:stop] for start, stop in zip([0, *stops], stops)]


def find_box(rle: Rle) -> list[float]:
    """x, y, width, height of the pixels of an encoded mask; of an empty one zeros."""
    box: list[float] = coco_mask.toBbox(rle).tolist()
    return box


def decode(rle: Rle) -> np.ndarray:
    """The bitmap [H, W] bool of an encoded mask."""
    return coco_mask.decode(rle).astype(bool)
