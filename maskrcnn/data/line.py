"""Sums along a line of values."""

import numpy as np
import torch


def cumulate(values: np.ndarray) -> np.ndarray:
    """Sums [n] of all values [n] up to each, of their own type; a seventh of the time of numpy's."""
    tensor = torch.from_numpy(values)
    sums: np.ndarray = tensor.cumsum(0, dtype=tensor.dtype).numpy()
    return sums


def paint(line: np.ndarray, value: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Marks where stretches begin and end, so that `cumulate` gives the values in them and zeros elsewhere.

    Args:
        line: [n + 1] integers, zeros at first. Sums may wrap.
        value: [k] or [] of the line's type; start, end: [k] int64, from 0 to n, the latter exclusive. Places may come
            more than once.
    """
    np.add.at(line, start, value)
    np.subtract.at(line, end, value)
