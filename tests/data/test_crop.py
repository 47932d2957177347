import numpy as np
import pytest
from numpy.random import default_rng

from maskrcnn.data.crop import RandomCrop
from maskrcnn.data.resize import Resize


def crops(low: float, high: float, crop: tuple[int, int] = (256, 320)) -> RandomCrop:
    return RandomCrop(shortest=[512], longest=1088, crop=crop, scales=(low, high))


def test_validation_sees_the_whole_picture() -> None:
    for size in ((256, 256), (520, 696), (603, 1272), (40, 30)):
        assert crops(0.5, 2.0).view(*size, None) == Resize(shortest=[512], longest=1088).view(*size, None)


def test_windows_lie_anywhere_at_the_scale_of_validation() -> None:
    views = [crops(1.0, 1.0).view(256, 300, default_rng(seed)) for seed in range(3000)]  # twice as large: 512 x 600
    assert {view.size for view in views} == {(256, 320)}
    starts = np.array([view.window[:2] for view in views])
    assert all(view.window[2:] == (x + 160, y + 128) for view, (x, y) in zip(views, starts.tolist()))
    for axis, room in ((0, 140), (1, 128)):
        assert starts[:, axis].min() == 0
        assert starts[:, axis].max() == room
        assert abs(starts[:, axis].mean() - room / 2) < 4 * room / np.sqrt(12 * 3000)  # four standard errors


def test_scales_are_drawn_evenly_on_a_logarithmic_axis() -> None:
    views = [crops(0.5, 2.0).view(4000, 4000, default_rng(seed)) for seed in range(3000)]
    pixels = np.array([view.window[3] - view.window[1] for view in views])  # 256 / 0.128 = 2000 at validation's scale
    assert pixels.min() >= 1000
    assert pixels.max() <= 4000
    assert abs((pixels < 2000).mean() - 0.5) < 4 * 0.5 / np.sqrt(3000)


def test_a_smaller_picture_is_whole_and_may_be_pasted_on_up_to_the_crop() -> None:
    view = crops(0.25, 0.25, (512, 512)).view(256, 300, default_rng(0))
    assert view.window == (0, 0, 300, 256)
    assert view.size == (128, 150)
    assert view.canvas == (512, 512)
    assert crops(0.5, 2.0).largest(40, 3000) == (256, 320)


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data.resize.shortest is \[256, 512\].*give one"):
        RandomCrop(shortest=[256, 512], longest=1088, crop=(256, 256), scales=(1.0, 1.0))
    for scales in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="the smallest factor, over 0, and the largest"):
            RandomCrop(shortest=[512], longest=1088, crop=(256, 256), scales=scales)
    with pytest.raises(ValueError, match=r"data.resize.crop is \[0, 256\]"):
        RandomCrop(shortest=[512], longest=1088, crop=(0, 256), scales=(1.0, 1.0))
