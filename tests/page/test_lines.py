"""Places in charts of curves, worked out by hand."""

import re

import pytest

from maskrcnn.page.lines import Line, lines, ticks


def test_ticks_are_round_numbers_within_the_range() -> None:
    assert ticks(0, 0.43) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert ticks(1, 3, whole=True) == [1, 2, 3]
    assert ticks(7, 7) == [7]


def test_a_curve_runs_between_the_corners() -> None:
    path = re.search(r'd="M ([^"]*)"', lines("AP", "epoch", [Line("one", "#000", [(1, 0.0), (3, 1.0)])]))
    assert path is not None and path[1] == "60.0 220.0 L 460.0 12.0"
