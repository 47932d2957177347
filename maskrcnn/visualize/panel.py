"""Titled drawings with a sentence under each, laid out in headed rows."""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.visualize.text import BLACK, WHITE, Colour

WIDTH = 380  # pixels of a panel
_COLUMNS, _GAP = 4, 16
SHEET_WIDTH = _COLUMNS * WIDTH + (_COLUMNS + 1) * _GAP
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINE = 20  # pixels from line to line
_HEAD, _HEAD_COLOUR = 34, (45, 52, 64)
_GREY: Colour = (90, 90, 90)


class Panel(NamedTuple):
    """One drawing of a sheet."""

    title: str  # fits on a line
    drawing: np.ndarray  # [h, w, 3] u8 RGB, at most WIDTH wide
    text: str  # a sentence or two, wrapped


class Row(NamedTuple):
    """Panels beside each other, at most four."""

    title: str
    code: str  # what in the code does this
    panels: list[Panel]


def write(picture: np.ndarray, text: str, left: int, baseline: int, colour: Colour, size: float, bold: bool) -> int:
    """Writes on a picture as it is, without a background, and returns the x of the text's end."""
    weight = 2 if bold else 1
    cv2.putText(picture, text, (left, baseline), _FONT, size, colour, weight, cv2.LINE_AA)
    return left + _width(text, size, bold)


def sheet(title: str, legend: list[tuple[str, Colour]], rows: list[Row]) -> np.ndarray:
    """A picture [h, SHEET_WIDTH, 3] u8 RGB of all panels.

    Args:
        title: of the whole; legend: names of colours, in a line under it.
        rows: numbered through, panel by panel.
    """
    parts, number = [_heading(title, legend)], 1
    for row in rows:
        parts += [_strip(row), _panels(row.panels, number)]
        number += len(row.panels)
    return np.concatenate(parts)


def _width(text: str, size: float, bold: bool) -> int:
    return cv2.getTextSize(text, _FONT, size, 2 if bold else 1)[0][0]


def _white(height: int) -> np.ndarray:
    return np.full((height, SHEET_WIDTH, 3), WHITE, np.uint8)


def _heading(title: str, legend: list[tuple[str, Colour]]) -> np.ndarray:
    strip = _white(72)
    write(strip, title, _GAP, 30, BLACK, 0.75, True)
    x = _GAP
    for name, colour in legend:
        strip[46:60, x : x + 22] = colour
        x = write(strip, name, x + 28, 58, _GREY, 0.5, False) + 22
    return strip


def _strip(row: Row) -> np.ndarray:
    strip = np.full((_HEAD, SHEET_WIDTH, 3), _HEAD_COLOUR, np.uint8)
    write(strip, row.title, _GAP, 23, WHITE, 0.6, True)
    write(strip, row.code, SHEET_WIDTH - _GAP - _width(row.code, 0.5, False), 22, (200, 208, 220), 0.5, False)
    return strip


def _panels(panels: list[Panel], number: int) -> np.ndarray:
    texts = [wrap(panel.text, WIDTH) for panel in panels]
    height = max(panel.drawing.shape[0] for panel in panels)
    lines = max(len(text) for text in texts)
    strip = _white(40 + height + 10 + lines * _LINE + 16)
    for i, (panel, text) in enumerate(zip(panels, texts)):
        left = _GAP + i * (WIDTH + _GAP)
        write(strip, f"{number + i}  {panel.title}", left, 27, BLACK, 0.55, True)
        rows, columns = panel.drawing.shape[:2]
        strip[40 : 40 + rows, left : left + columns] = panel.drawing
        for j, line in enumerate(text):
            write(strip, line, left, 40 + height + 20 + j * _LINE, _GREY, 0.5, False)
    return strip


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most a width in pixels, broken between words; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and _width(f"{lines[-1]} {word}", 0.5, False) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
