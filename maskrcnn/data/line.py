"""Sums along a line of values."""

import numpy as np
import torch

FEW = 8_000  # values, below which the call itself takes longer where its code is not in the cache


def cumulate(values: np.ndarray) -> np.ndarray:
    """Sums [n] of all values [n] up to each, of their own type; of many in a seventh of the time of numpy's."""
    if values.size < FEW:
        return np.cumsum(values, dtype=values.dtype)
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
