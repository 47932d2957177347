"""A part of the canvas shown at some scale, and lines on it that keep their place to a fraction of a pixel."""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.visualize.text import WHITE, Colour

OUTSIDE: Colour = (235, 235, 235)  # where there is no canvas
_MARGIN = 0.15  # of the longer side of a box that is shown alone
_SHIFT = 4  # bits behind the point of OpenCV's coordinates


class View(NamedTuple):
    """A window of the canvas, enlarged or reduced to a drawing."""

    left: float  # of the window, in pixels of the canvas
    top: float
    scale: float  # pixels of the drawing for one of the canvas
    size: tuple[int, int]  # height and width of the drawing

    def show(self, values: np.ndarray, cell: float) -> np.ndarray:
        """The window of a picture or map, cells as flat squares: [*size, 3] u8.

        Args:
            values: [h, w, 3] u8.
            cell: pixels of the canvas along each side of one of its values; 1 for the picture itself.
        """
        if self.scale * cell < 1:
            values = cv2.resize(values, None, fx=self.scale * cell, fy=self.scale * cell, interpolation=cv2.INTER_AREA)
            cell = 1 / self.scale
        rows = np.floor((self.top + (np.arange(self.size[0]) + 0.5) / self.scale) / cell).astype(int)
        columns = np.floor((self.left + (np.arange(self.size[1]) + 0.5) / self.scale) / cell).astype(int)
        shown = values[np.ix_(rows.clip(0, len(values) - 1), columns.clip(0, values.shape[1] - 1))]
        shown[(rows < 0) | (rows >= len(values))] = OUTSIDE
        shown[:, (columns < 0) | (columns >= values.shape[1])] = OUTSIDE
        return shown

    def fade(self, picture: np.ndarray) -> np.ndarray:
        """The window of a picture [h, w, 3] u8, paled for many lines on it."""
        return (self.show(picture, 1) // 2 + 118).astype(np.uint8)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] as x, y in pixels of the canvas, in pixels of the drawing."""
        return (np.asarray(points, np.float64) - (self.left, self.top)) * self.scale

    def line(self, drawing: np.ndarray, points: np.ndarray, colour: Colour, width: int) -> None:
        """Joins points [n, 2] of the canvas."""
        cv2.polylines(drawing, [self._fixed(points)], False, colour, width, cv2.LINE_AA, _SHIFT)

    def box(self, drawing: np.ndarray, box: np.ndarray, colour: Colour, width: int) -> None:
        """Draws a box [4] of the canvas; from a width of 3 on with a white rim, to be seen on any colour."""
        x1, y1, x2, y2 = box
        corners = self._fixed(np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]))
        if width >= 3:
            cv2.polylines(drawing, [corners], True, WHITE, width + 2, cv2.LINE_AA, _SHIFT)
        cv2.polylines(drawing, [corners], True, colour, width, cv2.LINE_AA, _SHIFT)

    def dashed_box(self, drawing: np.ndarray, box: np.ndarray, colour: Colour, width: int) -> None:
        """Draws a box [4] of the canvas in dashes of 6 pixels."""
        x1, y1, x2, y2 = box
        corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)])
        for start, end in zip(corners, corners[1:]):
            dashes = max(round(float(np.abs(end - start).sum()) * self.scale / 12), 1)
            for i in range(dashes):
                part = start + (end - start) * np.array([[i / dashes], [(i + 0.5) / dashes]])
                self.line(drawing, part, colour, width)

    def dot(self, drawing: np.ndarray, point: np.ndarray, colour: Colour, radius: float) -> None:
        """Draws a disc around a point [2] of the canvas."""
        x, y = self._fixed(point).tolist()
        cv2.circle(drawing, (x, y), round(radius * 2**_SHIFT), colour, -1, cv2.LINE_AA, _SHIFT)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        # OpenCV counts from the first pixel's centre; far points are cut, as they overflow its 32 bits.
        placed = self.place(points).clip(-10_000, 10_000) - 0.5
        return np.round(placed * 2**_SHIFT).astype(np.int32)


def whole(height: int, width: int, size: tuple[int, int]) -> View:
    """The whole canvas of a height and width, as large as it fits into a drawing of a size."""
    scale = min(size[0] / height, size[1] / width)
    return View(0, 0, scale, (max(round(height * scale), 1), max(round(width * scale), 1)))


def around(box: np.ndarray, size: tuple[int, int]) -> View:
    """A drawing of a size with a box [4] in its middle, and a part of the box's longer side around it."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    border = _MARGIN * max(x2 - x1, y2 - y1)
    scale = min(size[0] / (y2 - y1 + 2 * border), size[1] / (x2 - x1 + 2 * border))
    return View((x1 + x2 - size[1] / scale) / 2, (y1 + y2 - size[0] / scale) / 2, scale, size)
