"""COCO's compressed run lengths of masks: read with all checks, many at once, and decoded only where the mask is.

pycocotools decodes whole pictures, and returns uninitialised memory where the runs end before the picture does.
"""

from typing import NamedTuple

import numpy as np


def read_runs(masks: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Run lengths of masks, all at once, from their compressed form (the format is pycocotools' `rleFrString`).

    Args:
        masks: for each, characters from 48 on with 6 bits: five of a number, lowest first, and whether more follow.
            From a mask's fourth number on, each is the difference to the one two before.

    Returns:
        runs [n] int64: lengths of runs column by column, in turns of zeros and of ones, zeros first, one mask after
        another; counts [masks] int64: how many runs each mask has.

    Raises:
        ValueError: the characters are none of such a form, or a run is negative.
    """
    sizes = np.array([len(mask) for mask in masks], np.int64)
    if sizes.size == 0:
        return np.zeros(0, np.int64), sizes
    codes = np.frombuffer(b"".join(masks), np.uint8) - np.uint8(48)  # wraps, so that what is less becomes more than 63
    ends = np.cumsum(sizes)
    if sizes.min() == 0 or codes.max() > 63 or (codes[ends - 1] & 32).any():
        raise ValueError("not a run-length encoding")
    last = np.flatnonzero((codes & 32) == 0)
    first = np.append(0, last[:-1] + 1)
    more = last - first
    if more.max() > 6:
        raise ValueError("a run of 2^35 pixels or more")
    runs = (codes[first] & 31).astype(np.int64)
    for place in range(1, int(more.max()) + 1):  # few numbers take more than one character
        longer = np.flatnonzero(more >= place)
        runs[longer] |= (codes[first[longer] + place] & 31).astype(np.int64) << 5 * place
    negative = np.flatnonzero(codes[last] & 16)  # the highest bit is the sign
    runs[negative] -= np.int64(32) << 5 * more[negative]
    starts = np.searchsorted(first, ends - sizes)  # of each mask's runs
    counts = np.append(starts[1:], runs.size) - starts
    # Sums of every second number, over all masks; less what they had reached before a mask's second and third number.
    sums = np.zeros(runs.size + 1, np.int64)
    np.cumsum(runs[::2], out=sums[1::2])
    np.cumsum(runs[1::2], out=sums[2::2])
    odd = (np.arange(runs.size) - np.repeat(starts, counts)) & 1
    differences = sums[1:] - np.where(odd, np.repeat(sums[starts], counts), np.repeat(sums[starts + 1], counts))
    differences[starts] = runs[starts]
    runs = differences
    if runs.min() < 0:
        raise ValueError("a negative run")
    return runs, counts


def count_pixels(masks: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """How many pixels the runs of each mask span, and how many of them are in the mask; both [masks] int64.

    Raises:
        ValueError: of `read_runs`.
    """
    runs, counts = read_runs(masks)
    first = np.cumsum(counts) - counts
    odd = (np.arange(runs.size) - np.repeat(first, counts)) & 1
    return np.add.reduceat(runs, first), np.add.reduceat(runs * odd, first)


class Stretches(NamedTuple):
    """The pixels of masks, in stretches along the line of all columns of a picture one after another."""

    mask: np.ndarray  # [n] int64, position in the list of masks
    start: np.ndarray  # [n] int64, in ascending order for each mask
    end: np.ndarray  # [n] int64, exclusive, more than `start`


def find_stretches(masks: list[bytes]) -> Stretches:
    """Where the pixels of masks lie, from compressed run lengths that start at a picture's first pixel."""
    runs, counts = read_runs(masks)
    ends = np.cumsum(runs)
    first = np.cumsum(counts) - counts
    ends -= np.repeat((ends - runs)[first], counts)  # from where each mask starts
    odd = (np.arange(runs.size) - np.repeat(first, counts)) & 1
    ones = np.flatnonzero(odd & (runs > 0))
    return Stretches(np.repeat(np.arange(len(masks)), counts)[ones], ends[ones] - runs[ones], ends[ones])


def decode_window(counts: bytes, height: int) -> tuple[np.ndarray, int, int]:
    """Decodes a mask within its own box.

    Args:
        counts: compressed run lengths of a mask with at least one pixel.
        height: of the picture.

    Returns:
        mask [h, w] uint8, 0 or 1, that touches all four sides of its window; x and y of the window's first pixel.
    """
    runs, _ = read_runs([counts])
    if runs.size % 2:
        runs = runs[:-1]  # zeros at the end
    x = int(runs[0]) // height
    runs[0] -= x * height
    flat = np.repeat(np.arange(runs.size, dtype=np.uint8) & 1, runs)
    columns = -(-flat.size // height)
    window = np.zeros((columns, height), np.uint8)
    window.ravel()[: flat.size] = flat
    rows = np.flatnonzero(window.any(axis=0))
    y, end = int(rows[0]), int(rows[-1]) + 1
    return np.ascontiguousarray(window[:, y:end].T), x, y
