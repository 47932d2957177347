from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.stretch import Stretch


def naive(channel: np.ndarray, low: float, high: float, gamma: float) -> np.ndarray:
    """The same, from sorted pixels."""
    ordered = np.sort(channel, axis=None)
    black, white = (ordered[max(int(np.ceil(len(ordered) * share / 100)) - 1, 0)] for share in (low, high))
    position = (channel.astype(np.float64) - black) / max(int(white) - int(black), 1)
    return np.rint(position.clip(0, 1) ** gamma * 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_percentiles_become_black_and_white(dtype: type, gamma: float) -> None:
    most = np.iinfo(dtype).max
    pixels = (np.random.default_rng(0).random((40, 50, 2)) ** 3 * [most, most / 9]).astype(dtype)
    found = Stretch(percentiles=(2, 99), gamma=gamma)(pixels)
    assert found.dtype == np.uint8
    for channel in range(2):
        np.testing.assert_array_equal(found[..., channel], naive(pixels[..., channel], 2, 99, gamma))


def test_exposure_makes_no_difference_and_a_flat_picture_is_black() -> None:
    dim = np.random.default_rng(1).integers(3, 60, (30, 30, 1)).astype(np.uint16)
    stretch = Stretch(percentiles=(1, 99.8), gamma=0.5)
    np.testing.assert_array_equal(stretch(dim), stretch(dim * 200 + 77))
    assert stretch(dim).min() == 0 and stretch(dim).max() == 255
    assert not stretch(np.full((5, 5, 3), 200, np.uint8)).any()


def test_the_reader_stretches_before_it_rounds_to_bytes(tmp_path: Path) -> None:
    dim = np.random.default_rng(2).integers(0, 100, (20, 20)).astype(np.uint16)  # of 65535: one byte without it
    cv2.imwrite(str(tmp_path / "a.png"), dim)
    stretch = Stretch(percentiles=(0, 100), gamma=1.0)
    found = PictureReader(3, 65535, stretch)(tmp_path / "a.png", None)
    np.testing.assert_array_equal(found, stretch(dim[..., None]).repeat(3, axis=2))
    assert len(np.unique(found)) == len(np.unique(dim)) and not PictureReader(3, 65535)(tmp_path / "a.png", None).any()


def test_opacity_is_not_stretched(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 4), 255, np.uint8)
    pixels[..., :3] = np.arange(16).reshape(4, 4, 1) + 10
    pixels[0, 0, 3] = 0  # black after all
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    found = PictureReader(3, 65535, Stretch(percentiles=(0, 100), gamma=1.0))(tmp_path / "a.png", None)
    seen = np.where(pixels[..., 3:] > 0, pixels[..., :3], 0)
    np.testing.assert_array_equal(found, np.rint(seen / 25 * 255))


def test_impossible_numbers_are_refused() -> None:
    for percentiles in ((99.0, 1.0), (-1.0, 50.0), (0.0, 101.0)):
        with pytest.raises(ValueError, match="data.stretch.percentiles is .* give two ascending ones from 0 to 100"):
            Stretch(percentiles=percentiles, gamma=1.0)
    with pytest.raises(ValueError, match="data.stretch.gamma is 0.0; give a number above 0"):
        Stretch(percentiles=(1.0, 99.0), gamma=0.0)


def test_a_flat_picture_is_black() -> None:
    with np.errstate(all="raise"):
        assert not Stretch(percentiles=(1, 99.8), gamma=1.0)(np.full((4, 5, 3), 7, np.uint8)).any()
