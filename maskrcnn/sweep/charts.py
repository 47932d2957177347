"""Charts of a sweep as SVG."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from maskrcnn.inspection.charts import figure

COLOURS = ("#3b7dd8", "#e07b39", "#3f9b5f", "#c04f6e", "#7d5fb8", "#8a6d3b", "#2aa5a5", "#b0a02a")
GREY = "#b5b5b5"  # of all that come after
WIDTH, HEIGHT = 660, 300  # pixels of a chart with its labels
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 12, 40


class Line(NamedTuple):
    """One trial in a chart."""

    name: str  # shown when the pointer is on it
    colour: str
    points: Sequence[tuple[float, float]]


def colour(place: int) -> str:
    """The colour of the setting in a place of the table, counted from 0."""
    return COLOURS[place] if place < len(COLOURS) else GREY


def lines(title: str, along: str, drawn: Sequence[Line]) -> str:
    """Curves over a common axis, the first ones on top."""
    points = [point for line in drawn for point in line.points if math.isfinite(point[1])]
    if not points:
        return figure(title, "<p>nothing was logged</p>")
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_high = max(y for _, y in points) or 1.0
    x_ticks, y_ticks = ticks(x_low, x_high, whole=True), ticks(0.0, y_high)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - y / max(y_high, y_ticks[-1]) * (HEIGHT - TOP - BOTTOM), 1),
        )

    parts = []
    for tick in y_ticks:
        y = place(x_low, tick)[1]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    for tick in x_ticks:
        parts.append(f'<text x="{place(tick, 0)[0]}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(along)}</text>')
    for line in reversed(drawn):
        placed = [place(*point) for point in line.points if math.isfinite(point[1])]
        parts.append(_path(placed, line))
        if len(placed) <= 60:  # few values stand for themselves
            parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{line.colour}"/>' for x, y in placed]
    return figure(title, _svg(WIDTH, parts))


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
        parts.append(_path(points, Line(name, shade, [])))
    for i, places in enumerate(heights):  # above the lines
        for value in _labelled(places):
            x, y = LEFT + 26 + i * step, y_of(places[value]) + 4
            parts.append(f'<text x="{x}" y="{y}" class="value">{escape(value)}</text>')
    return figure(title, _svg(width, parts))


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Round numbers, about five, that cover a range from at most `low` on."""
    if high <= low:
        return [low]
    size = 10 ** math.floor(math.log10((high - low) / 5))
    step = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) <= 5)
    step = max(1, round(step)) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


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


def _path(points: Sequence[tuple[float, float]], line: Line) -> str:
    if not points:
        return ""
    joined = " L ".join(f"{x} {y}" for x, y in points)
    title = f"<title>{escape(line.name)}</title>"
    return f'<path d="M {joined}" fill="none" stroke="{line.colour}" class="trial">{title}</path>'


def _svg(width: int, parts: Sequence[str]) -> str:
    return f'<svg width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}">{"".join(parts)}</svg>'
