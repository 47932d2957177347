"""COCO's compressed run lengths of masks: read with all checks, many at once, and decoded only where the mask is.

pycocotools decodes whole pictures, and returns uninitialised memory where the runs end before the picture does.
"""

from typing import NamedTuple

import numpy as np

from maskrcnn.data.line import cumulate


class Runs(NamedTuple):
    """Run lengths of masks, column by column, in pairs: so many pixels outside, and so many inside after them."""

    mask: np.ndarray  # [n] int64, position in the list of masks, ascending
    outside: np.ndarray  # [n] int64
    inside: np.ndarray  # [n] int64, 0 at the end of a mask that ends with pixels outside


def read_runs(masks: list[bytes]) -> Runs:
    """Run lengths of masks, all at once, from their compressed form (the format is pycocotools' `rleFrString`).

    Args:
        masks: for each, characters from 48 on with 6 bits: five of a number, lowest first, and whether more follow.
            From a mask's fourth number on, each is the difference to the one two before.

    Raises:
        ValueError: the characters are none of such a form, or a run is negative.
    """
    if not masks:
        return Runs(*np.zeros((3, 0), np.int64))
    numbers, counts = _read_numbers(masks)
    pairs = (counts + 1) >> 1
    ends = pairs.cumsum()
    first = ends - pairs
    mask = np.arange(len(masks)).repeat(pairs)
    single = counts & 1  # whether the last number is alone in its pair
    place = np.arange(0, 2 * mask.size, 2) - (single.cumsum() - single)[mask]
    outside, inside = numbers[place], np.concatenate((numbers, [0]))[place + 1]
    start, inside_first = outside[first], inside[first]
    outside[first] = 0  # the second number of these counts from 0 again
    outside, inside = cumulate(outside), cumulate(inside)
    outside -= outside[first][mask]
    inside -= (inside[first] - inside_first)[mask]
    outside[first] = start
    inside[ends[single == 1] - 1] = 0
    if outside.min() < 0 or inside.min() < 0:
        raise ValueError("a negative run")
    return Runs(mask, outside, inside)


def _read_numbers(masks: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers [n] int64 of one mask after another, and how many each has, [masks] int64."""
    if b"" in masks:
        raise ValueError("not a run-length encoding")
    sizes = np.array([len(mask) for mask in masks])
    codes = np.frombuffer(b"".join(masks), np.uint8) - np.uint8(48)  # wraps, so that what is less becomes more than 63
    ends = sizes.cumsum()
    if codes.max() > 63 or codes[ends - 1].max() > 31:
        raise ValueError("not a run-length encoding")
    last = (codes < 32).nonzero()[0]
    counts = last.searchsorted(ends)
    counts[1:] -= counts[:-1]
    numbers = ((codes << 3).view(np.int8) >> 3)[last].astype(np.int64)  # the fifth bit of the last one is the sign
    more = last.copy()
    more[1:] -= last[:-1] + 1
    place = 1
    longer = (more >= place).nonzero()[0]  # few numbers take more than one character
    while longer.size:
        if place > 6:
            raise ValueError("a run of 2^35 pixels or more")
        numbers[longer] = numbers[longer] << 5 | codes[last[longer] - place] & 31
        place += 1
        longer = longer[more[longer] >= place]
    return numbers, counts


def count_pixels(masks: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """How many pixels the runs of each mask span, and how many of them are in the mask; both [masks] int64.

    Raises:
        ValueError: of `read_runs`.
    """
    mask, outside, inside = read_runs(masks)
    first = np.flatnonzero(np.diff(mask, prepend=-1))
    return np.add.reduceat(outside + inside, first), np.add.reduceat(inside, first)


class Stretches(NamedTuple):
    """The pixels of masks, in stretches along the line of all columns of a picture one after another."""

    mask: np.ndarray  # [n] int64, position in the list of masks
    start: np.ndarray  # [n] int64, in ascending order for each mask
    end: np.ndarray  # [n] int64, exclusive, at least `start`


def find_stretches(masks: list[bytes]) -> Stretches:
    """Where the pixels of masks lie, from compressed run lengths that start at a picture's first pixel."""
    mask, outside, inside = read_runs(masks)
    both = outside + inside
    end = cumulate(both)
    first = mask.searchsorted(np.arange(len(masks)))
    end -= (end[first] - both[first])[mask]  # from where each mask starts
    return Stretches(mask, end - inside, end)


def decode_window(counts: bytes, height: int) -> tuple[np.ndarray, int, int]:
    """Decodes a mask within its own box.

    Args:
        counts: compressed run lengths of a mask with at least one pixel.
        height: of the picture.

    Returns:
        mask [h, w] uint8, 0 or 1, that touches all four sides of its window; x and y of the window's first pixel.
    """
    _, outside, inside = read_runs([counts])
    runs = np.stack((outside, inside), axis=1).ravel()
    if runs[-1] == 0:
        runs = runs[:-2]  # what is outside at the end
    x = int(runs[0]) // height
    runs[0] -= x * height
    flat = np.repeat(np.arange(runs.size, dtype=np.uint8) & 1, runs)
    columns = -(-flat.size // height)
    window = np.zeros((columns, height), np.uint8)
    window.ravel()[: flat.size] = flat
    rows = np.flatnonzero(window.any(axis=0))
    y, end = int(rows[0]), int(rows[-1]) + 1
    return np.ascontiguousarray(window[:, y:end].T), x, y
