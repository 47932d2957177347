from math import sqrt

import numpy as np
import pytest

from maskrcnn.data.census import Census
from maskrcnn.data.repeat import repeat_factors


@pytest.mark.parametrize("threshold", [0.0, 0.001, 0.3, 1.0])
def test_the_formula_of_lvis(threshold: float) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.choice(6, rng.poisson(2), p=[0.6, 0.2, 0.1, 0.05, 0.03, 0.02]).tolist() for _ in range(80)]
    labels = np.array([label for picture in pictures for label in picture])
    census = Census(np.array([len(picture) for picture in pictures]), labels, np.ones((80, 2), int))
    expected = []
    for picture in pictures:
        shares = [sum(label in other for other in pictures) / 80 for label in picture]
        expected.append(max([1.0, *(max(1.0, sqrt(threshold / share)) for share in shares)]))
    np.testing.assert_allclose(repeat_factors(census, threshold), expected, rtol=1e-12)


def test_by_hand() -> None:
    # Class 1 is in one of four pictures, twice; class 0 in two.
    census = Census(np.array([1, 3, 0, 0]), np.array([0, 0, 1, 1]), np.ones((4, 2), int))
    assert repeat_factors(census, 1.0).tolist() == [sqrt(2), 2, 1, 1]
