import cv2
import numpy as np
import pytest

from maskrcnn.visualize.maps import principal, spread, tinted


@pytest.mark.parametrize("channels", [3, 40])  # fewer and more than cells
def test_principal_is_the_direction_of_the_greatest_variance(channels: int) -> None:
    rng = np.random.default_rng(0)
    direction = rng.normal(size=channels)
    direction /= np.linalg.norm(direction)
    strength = np.zeros((4, 5))
    strength[1, 2:4] = 10  # an object of two cells on a plain ground
    features = (
        direction[:, None, None] * strength
        + rng.normal(size=(channels, 1, 1))
        + rng.normal(scale=1e-3, size=(channels, 4, 5))
    )
    np.testing.assert_allclose(principal(features), direction, atol=1e-3)
    # The rarer cells are the positive ones, whichever sign they had.
    np.testing.assert_allclose(principal(-features), -direction, atol=1e-3)


def test_a_map_without_variance_has_a_direction_of_numbers() -> None:
    for channels in (3, 40):
        assert np.isfinite(principal(np.ones((channels, 4, 5)))).all()


def test_spread_puts_percentiles_at_the_ends() -> None:
    reference = np.arange(101.0)
    np.testing.assert_allclose(spread(np.array([-5, 1, 50, 99, 200]), reference), [0, 0, 0.5, 1, 1])
    assert (spread(np.full((2, 2), 7.0), np.full(4, 7.0)) == 0).all()


def test_tinted_is_opencvs_colour_map_in_rgb() -> None:
    picture = tinted(np.array([[0.0, 1.0]]), cv2.COLORMAP_INFERNO)
    assert picture[0, 0].max() < 5  # black
    red, green, blue = picture[0, 1].tolist()
    assert red > 240 and green > 240 and blue < 180  # yellow
