"""Parallel coordinates of a sweep as SVG."""

import math
from collections.abc import Sequence
from html import escape

from maskrcnn.page.html import figure, scrolling, svg
from maskrcnn.page.lines import Line, path

HEIGHT = 300  # pixels with the labels
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 12, 40


def parallel_coordinates(title: str, axes: Sequence[str], drawn: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """One upright axis a key, and one line a trial through its values.

    Args:
        axes: keys and scores; drawn: of each trial its name, colour, and value on each axis.
    """
    step = 150
    width = LEFT + RIGHT + step * max(len(axes) - 1, 1) + 80
    heights = [_heights([values[i] for _, _, values in drawn]) for i in range(len(axes))]

    def y_of(share: float) -> float:
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM - 16), 1)

    parts = []
    for i, axis in enumerate(axes):
        x = LEFT + 20 + i * step
        parts.append(f'<line x1="{x}" x2="{x}" y1="{y_of(1)}" y2="{y_of(0)}" stroke="#888"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="middle" font-weight="600">{escape(axis)}</text>')
    for name, shade, values in reversed(drawn):
        points = [(LEFT + 20 + i * step, y_of(heights[i][value])) for i, value in enumerate(values)]
        parts.append(path(points, Line(name, shade, [])))
    for i, places in enumerate(heights):  # above the lines
        for value in _labelled(places):
            x, y = LEFT + 26 + i * step, y_of(places[value]) + 4
            parts.append(f'<text x="{x}" y="{y}" class="value">{escape(value)}</text>')
    return figure(title, scrolling(svg(width, HEIGHT, parts)))


def _heights(values: Sequence[str]) -> dict[str, float]:
    """A place from 0 to 1 for each value: by size where all are numbers (by their logarithm where they span decades),
    in the order of the alphabet otherwise."""
    distinct = sorted(set(values))
    try:
        numbers = {value: float(value) for value in distinct}
    except ValueError:
        return {value: (i + 0.5) / len(distinct) for i, value in enumerate(distinct)}
    low, high = min(numbers.values()), max(numbers.values())
    if low > 0 and high / low >= 30:
        numbers = {value: math.log(number) for value, number in numbers.items()}
        low, high = math.log(low), math.log(high)
    return {value: (number - low) / (high - low) if high > low else 0.5 for value, number in numbers.items()}


def _labelled(places: dict[str, float]) -> list[str]:
    """Values that have room for their labels, the lowest and highest among them."""
    chosen: list[str] = []
    ordered = sorted(places, key=lambda value: places[value])
    for value in [ordered[-1], *ordered]:
        if all(abs(places[value] - places[other]) > 0.06 for other in chosen):
            chosen.append(value)
    return chosen
