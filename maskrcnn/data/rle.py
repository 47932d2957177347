"""COCO's compressed run lengths of masks: read with all checks, and decoded only where the mask is.

pycocotools decodes whole pictures, and returns uninitialised memory where the runs end before the picture does.
"""

import numpy as np


def read_runs(counts: bytes) -> np.ndarray:
    """Run lengths from their compressed form (the format is pycocotools' `rleFrString`).

    Args:
        counts: characters from 48 on with 6 bits each: five of a number, lowest first, and whether more follow. From
            the fourth number on, each is the difference to the one two before.

    Returns:
        [n] int64 lengths of runs column by column, in turns of zeros and of ones, zeros first.

    Raises:
        ValueError: the characters are none of such a form, or a run is negative.
    """
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("not a run-length encoding")
    last = np.flatnonzero((codes & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() > 6:
        raise ValueError("a run of 2^35 pixels or more")
    place = 5 * (np.arange(codes.size) - np.repeat(first, last - first + 1))
    numbers = np.add.reduceat((codes & 31) << place, first)
    numbers -= ((codes[last] & 16) > 0) * (np.int64(32) << place[last])  # the highest bit is the sign
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    if numbers.min() < 0:
        raise ValueError("a negative run")
    return numbers


def decode_window(counts: bytes, height: int) -> tuple[np.ndarray, int, int]:
    """Decodes a mask within its own box.

    Args:
        counts: compressed run lengths of a mask with at least one pixel.
        height: of the picture.

    Returns:
        mask [h, w] uint8, 0 or 1, that touches all four sides of its window; x and y of the window's first pixel.
    """
    runs = read_runs(counts)
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
