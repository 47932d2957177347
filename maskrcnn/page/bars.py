"""Bars and maps of numbers as SVG, to be put into a page."""

from html import escape

import numpy as np

from maskrcnn.page.html import figure, scrolling, shorten, svg

_WIDTH, _ROW, _LABEL = 460, 18, 130  # pixels
_COLOUR = "#3b7dd8"


def bars(values: dict[str, int], title: str) -> str:
    """One horizontal bar for each name, with its number; it scrolls where there are many."""
    most = max(max(values.values(), default=0), 1)
    rows = []
    for i, (name, value) in enumerate(values.items()):
        y, length = i * _ROW, round((_WIDTH - _LABEL - 60) * value / most, 1)
        rows.append(
            f'<text x="{_LABEL - 6}" y="{y + 13}" text-anchor="end">{escape(shorten(name, 20))}</text>'
            f'<rect x="{_LABEL}" y="{y + 2}" width="{length}" height="{_ROW - 4}" fill="{_COLOUR}"/>'
            f'<text x="{_LABEL + length + 5}" y="{y + 13}">{value}</text>'
        )
    return figure(title, scrolling(svg(_WIDTH, max(len(values), 1) * _ROW, rows)))


def heat_map(counts: np.ndarray, title: str) -> str:
    """A square of cells [n, n], the darker the more."""
    side = 10
    most = max(int(counts.max()), 1)
    cells = [
        f'<rect x="{column * side}" y="{row * side}" width="{side}" height="{side}" fill="{_COLOUR}" '
        f'fill-opacity="{value / most:.2f}"/>'
        for (row, column), value in np.ndenumerate(counts)
    ]
    size = len(counts) * side
    frame = f'<rect width="{size}" height="{size}" fill="none" stroke="#888"/>'
    return figure(title, svg(size, size, [*cells, frame]))


def histogram(values: np.ndarray, edges: list[float], unit: str) -> dict[str, int]:
    """Numbers of values between edges, ascending, by a name of each bin, which tells whole numbers one by one; the last
    bin has no end.
    """
    whole = 1 if np.issubdtype(values.dtype, np.integer) else 0
    counts = np.histogram(values, [*edges, np.inf])[0]
    ranges = [(low, high - whole) for low, high in zip(edges, edges[1:])]
    names = [f"{low:g}{unit}" if low == high else f"{low:g} to {high:g}{unit}" for low, high in ranges]
    names.append(f"from {edges[-1]:g}{unit}")
    return dict(zip(names, counts.tolist()))
