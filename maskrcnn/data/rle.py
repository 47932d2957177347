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
    ends = np.cumsum(sizes)
    codes = np.frombuffer(b"".join(masks), np.uint8).astype(np.int64) - 48
    if sizes.min() == 0 or codes.min() < 0 or codes.max() > 63 or (codes[ends - 1] & 32).any():
        raise ValueError("not a run-length encoding")
    last = np.flatnonzero((codes & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() > 6:
        raise ValueError("a run of 2^35 pixels or more")
    place = 5 * (np.arange(codes.size) - np.repeat(first, last - first + 1))
    runs = np.add.reduceat((codes & 31) << place, first)
    runs -= ((codes[last] & 16) > 0) * (np.int64(32) << place[last])  # the highest bit is the sign
    starts = np.searchsorted(first, ends - sizes)  # of each mask's runs
    counts = np.append(starts[1:], runs.size) - starts
    position = np.arange(runs.size) - np.repeat(starts, counts)
    odd = (position & 1).astype(bool)
    for turn in (odd, ~odd & (position > 0)):
        sums = np.cumsum(runs * turn)
        runs[turn] = (sums - np.repeat(sums[starts], counts))[turn]  # a mask's first run is in neither turn
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
    start: np.ndarray  # [n] int64, in ascending order
    end: np.ndarray  # [n] int64, exclusive, more than `start`


def find_stretches(masks: list[bytes]) -> Stretches:
    """Where the pixels of masks lie, from compressed run lengths that start at a picture's first pixel."""
    runs, counts = read_runs(masks)
    ends = np.cumsum(runs)
    first = np.cumsum(counts) - counts
    ends -= np.repeat((ends - runs)[first], counts)  # from where each mask starts
    ones = (np.arange(runs.size) - np.repeat(first, counts)) % 2 == 1
    ones &= runs > 0
    mask, start, end = np.repeat(np.arange(len(masks)), counts)[ones], (ends - runs)[ones], ends[ones]
    order = np.argsort(start, kind="stable")
    return Stretches(mask[order], start[order], end[order])


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
