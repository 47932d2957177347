import numpy as np
import pytest
from numpy.random import default_rng

from maskrcnn.data.line import LONG, fill, mark


@pytest.mark.parametrize("length", [1, LONG // 4, 4 * LONG])
@pytest.mark.parametrize("dtype, largest", [(np.uint8, 255), (np.uint16, 65535)])
def test_lines_hold_the_value_of_the_part_before(length: int, dtype: type, largest: int) -> None:
    """Short parts and long ones, filled in two ways."""
    rng = default_rng(length)
    starts = np.sort(rng.integers(min(50, length), 300 * length, 300))
    starts[100] = starts[101] = starts[102]  # some are empty
    values = rng.integers(largest + 1, size=300).astype(dtype)
    expected = np.zeros(300 * length, dtype)
    for start, value in zip(starts.tolist(), values, strict=True):
        expected[start:] = value
    line = fill(starts, values, expected.size)
    assert line.dtype == dtype
    np.testing.assert_array_equal(line, expected)


@pytest.mark.parametrize("size", [0, 1, 5])
def test_lines_without_parts(size: int) -> None:
    assert fill(np.zeros(0, np.int64), np.zeros(0, np.uint8), size).tolist() == [0] * size


def test_stretches_are_marked() -> None:
    start, end = np.array([0, 4, 6, 9]), np.array([2, 6, 7, 12])  # the second ends where the third starts
    assert mark(start, end, 12).tolist() == [255, 255, 0, 0, 255, 255, 255, 0, 0, 255, 255, 255]
    assert mark(start, end, 14).tolist()[12:] == [0, 0]
    assert mark(start[:0], end[:0], 3).tolist() == [0, 0, 0]
    assert mark(start[:0], end[:0], 0).tolist() == []
