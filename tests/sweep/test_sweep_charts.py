"""Places in the charts of a sweep, worked out by hand."""

import re

import pytest

from maskrcnn.sweep.charts import Line, lines, parallel_coordinates, ticks


def test_ticks_are_round_numbers_within_the_range() -> None:
    assert ticks(0, 0.43) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert ticks(1, 3, whole=True) == [1, 2, 3]
    assert ticks(7, 7) == [7]


def test_a_curve_runs_between_the_corners() -> None:
    path = re.search(r'd="M ([^"]*)"', lines("AP", "epoch", [Line("one", "#000", [(1, 0.0), (3, 1.0)])]))
    assert path is not None and path[1] == "60.0 260.0 L 640.0 12.0"


def test_values_over_decades_lie_by_their_logarithm() -> None:
    drawn = [(name, "#000", [lr]) for name, lr in (("low", "0.0001"), ("middle", "0.001"), ("high", "0.01"))]
    places = re.findall(r'd="M \d+ ([\d.]+)"', parallel_coordinates("", ["lr"], drawn))
    high, middle, low = map(float, places)  # the first one is drawn last
    assert middle - high == pytest.approx(low - middle, abs=0.11)


def test_names_lie_in_the_order_of_the_alphabet() -> None:
    drawn = [("", "#000", [name]) for name in ("tiny", "resnet18")]
    tiny, resnet = map(float, re.findall(r'd="M \d+ ([\d.]+)"', parallel_coordinates("", ["backbone"], drawn))[::-1])
    assert tiny < resnet  # upwards
