"""Places in the parallel coordinates of a sweep, worked out by hand."""

import re

import pytest

from maskrcnn.sweep.charts import parallel_coordinates


def test_values_over_decades_lie_by_their_logarithm() -> None:
    drawn = [(name, "#000", [lr]) for name, lr in (("low", "0.0001"), ("middle", "0.001"), ("high", "0.01"))]
    places = re.findall(r'd="M \d+ ([\d.]+)"', parallel_coordinates("", ["lr"], drawn))
    high, middle, low = map(float, places)  # the first one is drawn last
    assert middle - high == pytest.approx(low - middle, abs=0.11)


def test_names_lie_in_the_order_of_the_alphabet() -> None:
    drawn = [("", "#000", [name]) for name in ("tiny", "resnet18")]
    tiny, resnet = map(float, re.findall(r'd="M \d+ ([\d.]+)"', parallel_coordinates("", ["backbone"], drawn))[::-1])
    assert tiny < resnet  # upwards
