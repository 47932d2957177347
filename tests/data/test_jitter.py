import numpy as np
import pytest
from numpy.random import default_rng

from maskrcnn.data.jitter import LargeScaleJitter
from maskrcnn.data.resize import Resize


def fixed(scale: float) -> LargeScaleJitter:
    return LargeScaleJitter(shortest=[600], longest=800, scales=(scale, scale))


def test_validation_fits_the_picture_into_the_canvas() -> None:
    jitter, plain = fixed(2.0), Resize(shortest=[600], longest=800)
    for size in ((300, 400), (400, 300), (50, 400), (1000, 1000), (1, 3000)):
        assert jitter.view(*size, None) == plain.view(*size, None)
    assert jitter.view(300, 400, None).size == (600, 800)
    assert jitter.view(1000, 1000, None).size == (600, 600)


def test_smaller_pictures_are_whole() -> None:
    view = fixed(0.5).view(300, 400, default_rng(0))
    assert view.window == (0, 0, 400, 300)
    assert view.size == (300, 400)
    assert view.canvas == (600, 800)
    assert fixed(0.1).view(300, 400, default_rng(0)).size == (60, 80)


def test_larger_pictures_are_cut_anywhere() -> None:
    views = [fixed(2.0).view(300, 400, default_rng(seed)) for seed in range(3000)]
    assert {view.size for view in views} == {(600, 800)}
    starts = np.array([view.window[:2] for view in views])
    assert all(view.window[2:] == (x + 200, y + 150) for view, (x, y) in zip(views, starts.tolist()))
    for axis, room in ((0, 200), (1, 150)):
        assert starts[:, axis].min() == 0
        assert starts[:, axis].max() == room
        assert abs(starts[:, axis].mean() - room / 2) < 4 * room / np.sqrt(12 * 3000)  # four standard errors


def test_only_what_reaches_beyond_the_canvas_is_cut() -> None:
    view = fixed(2.0).view(400, 400, default_rng(0))  # 1200 x 1200 on 600 x 800
    assert view.window[2] - view.window[0] == 267
    assert view.window[3] - view.window[1] == 200
    assert view.size == (600, 800)  # 267 pixels at 3 to 1 would be 801
    wide = fixed(1.5).view(100, 400, default_rng(0))  # 300 x 1200
    assert wide.window[1::2] == (0, 100)
    assert wide.size == (300, 800)


def test_the_canvas_lies_as_the_picture_does() -> None:
    upright = fixed(2.0).view(400, 300, default_rng(0))
    assert upright.canvas == upright.size == (800, 600)


def test_scales_are_drawn_evenly() -> None:
    jitter = LargeScaleJitter(shortest=[1000], longest=1000, scales=(0.1, 0.9))
    sides = np.array([jitter.view(500, 500, default_rng(seed)).size[0] for seed in range(3000)])
    assert sides.min() >= 100
    assert sides.max() <= 900
    counts = np.histogram(sides, bins=4, range=(100, 900))[0]
    assert np.abs(counts - 750).max() < 4 * np.sqrt(3000 * 0.25 * 0.75)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (3000, 4000)])
def test_no_view_is_empty_or_larger_than_the_canvas(size: tuple[int, int]) -> None:
    jitter = LargeScaleJitter(shortest=[60], longest=80, scales=(0.1, 2.0))
    for seed in range(50):
        (x1, y1, x2, y2), view_size, canvas = jitter.view(*size, default_rng(seed))
        assert 0 <= x1 < x2 <= size[1]
        assert 0 <= y1 < y2 <= size[0]
        assert 1 <= view_size[0] <= canvas[0]
        assert 1 <= view_size[1] <= canvas[1]


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"resize\.shortest is \[640, 800\], but .* give one .*shortest=\[800\]"):
        LargeScaleJitter(shortest=[640, 800], longest=1333, scales=(0.1, 2.0))
    for scales in ((0.0, 2.0), (2.0, 0.1)):
        with pytest.raises(
            ValueError, match=r"resize\.scales is .*; give the smallest factor, over 0, and the largest"
        ):
            LargeScaleJitter(shortest=[800], longest=1333, scales=scales)
    with pytest.raises(ValueError, match=r"resize\.shortest is \[800\], longest 700"):
        LargeScaleJitter(shortest=[800], longest=700, scales=(0.1, 2.0))
