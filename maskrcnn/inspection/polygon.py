"""Polygons that cross themselves."""

import numpy as np


def crosses_itself(polygon: list[float]) -> bool:
    """Whether two sides of a polygon cross each other in the middle; sides that only touch do not count.

    Args:
        polygon: x, y, x, y, ... of at least three points.
    """
    a = np.array(polygon, np.float64).reshape(-1, 2)
    b = np.roll(a, -1, axis=0)
    if len(a) < 4:
        return False

    def side(points: np.ndarray) -> np.ndarray:  # [i, j]: on which side of line i point j lies
        to = points[None] - a[:, None]
        along = (b - a)[:, None]
        return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    apart = side(a) * side(b) < 0  # the ends of j lie on both sides of line i
    return bool((apart & apart.T).any())
