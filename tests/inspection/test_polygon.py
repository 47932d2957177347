import itertools

import numpy as np
import pytest

from maskrcnn.inspection.polygon import crosses_itself


@pytest.mark.parametrize(
    "polygon, expected",
    [
        ([0, 0, 4, 0, 4, 4, 0, 4], False),
        ([0, 0, 4, 4, 4, 0, 0, 4], True),  # a bow tie
        ([0, 0, 4, 4, 4, 0], False),
        ([0, 0, 4, 0, 4, 4, 0, 4, 0, 0], False),  # closed by its first point
        ([0, 0, 4, 0, 4, 4, 2, 0, 0, 4], False),  # touches a side with a corner
        ([0, 0, 2, 0, 1, 0, 4, 0, 4, 4], False),  # goes back on its own line
    ],
)
def test_by_hand(polygon: list[float], expected: bool) -> None:
    assert crosses_itself(polygon) is expected


def naive(polygon: list[float]) -> bool:
    points = [complex(x, y) for x, y in np.reshape(polygon, (-1, 2)).tolist()]
    sides = list(zip(points, points[1:] + points[:1]))

    def turn(p: complex, q: complex, r: complex) -> float:
        return ((q - p).conjugate() * (r - p)).imag

    return any(
        turn(p, q, r) * turn(p, q, s) < 0 and turn(r, s, p) * turn(r, s, q) < 0
        for (p, q), (r, s) in itertools.combinations(sides, 2)
    )


def test_agrees_with_each_pair_of_sides() -> None:
    rng = np.random.default_rng(0)
    polygons = [rng.uniform(0, 10, 2 * n).tolist() for n in (4, 5, 6) for _ in range(40)]
    answers = [crosses_itself(polygon) for polygon in polygons]
    assert answers == [naive(polygon) for polygon in polygons]
    assert 20 < sum(answers) < 120
