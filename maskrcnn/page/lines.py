"""Curves as SVG, to be put into a page."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from maskrcnn.page.html import figure, svg

COLOURS = ("#3b7dd8", "#e07b39", "#3f9b5f", "#c04f6e", "#7d5fb8", "#8a6d3b", "#2aa5a5", "#b0a02a")
GREY = "#b5b5b5"  # of all that come after
WIDTH, HEIGHT = 480, 260  # pixels of a chart with its labels
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 12, 40


class Line(NamedTuple):
    """One curve in a chart."""

    name: str  # shown when the pointer is on it
    colour: str
    points: Sequence[tuple[float, float]]
    dashes: str = ""  # such as "4 3"


def colour(place: int) -> str:
    """The colour of a curve in a place of a list, counted from 0."""
    return COLOURS[place] if place < len(COLOURS) else GREY


def lines(
    title: str,
    along: str,
    drawn: Sequence[Line],
    highest: float | None = None,
    below: str = "",
    span: tuple[float, float] | None = None,
) -> str:
    """Curves over a common axis, the first ones on top.

    Args:
        title: of the chart; along: name of the axis.
        drawn: the curves; points that are not finite are left out.
        highest: end of the upright axis, which begins at 0; None for the highest value.
        below: HTML under the chart, such as a legend.
        span: ends of the level axis; None for those of the points.
    """
    points = [point for line in drawn for point in line.points if math.isfinite(point[1])]
    if not points:
        return figure(title, "<p>nothing was logged</p>")
    x_low, x_high = span or (min(x for x, _ in points), max(x for x, _ in points))
    y_high = highest or max(y for _, y in points) or 1.0
    whole = span is None and all(float(x).is_integer() for x, _ in points)  # steps, epochs
    x_ticks, y_ticks = ticks(x_low, x_high, whole=whole), ticks(0.0, y_high)

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
        parts.append(path(placed, line))
        if len(placed) <= 60:  # few values stand for themselves
            parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{line.colour}"/>' for x, y in placed]
    return figure(title, svg(WIDTH, HEIGHT, parts) + below)


def legend(drawn: Sequence[Line]) -> str:
    """The names of curves beside their colours."""
    shown = "".join(f"<span>{swatch(line.colour, bool(line.dashes))} {escape(line.name)}</span> " for line in drawn)
    return f'<p class="legend">{shown}</p>'


def swatch(shade: str, dashed: bool = False) -> str:
    """A patch of a colour, or stripes of it."""
    fill = f"repeating-linear-gradient(90deg, {shade} 0 4px, transparent 4px 6px)" if dashed else shade
    return f'<span class="swatch" style="background:{fill}"></span>'


def path(points: Sequence[tuple[float, float]], line: Line) -> str:
    """A curve through points in pixels."""
    if not points:
        return ""
    joined = " L ".join(f"{x} {y}" for x, y in points)
    title = f"<title>{escape(line.name)}</title>"
    dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
    return f'<path d="M {joined}" fill="none" stroke="{line.colour}"{dashes} class="curve">{title}</path>'


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Round numbers, about five, that cover a range from at most `low` on."""
    if high <= low:
        return [low]
    size = 10 ** math.floor(math.log10((high - low) / 5))
    step = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) <= 5)
    step = max(1, round(step)) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
