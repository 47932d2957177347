"""Objects drawn over their picture: boxes, masks, class names and scores."""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.visualize.text import Colour, put_text, shorten, text_size

# Okabe and Ito, "Color Universal Design" (2008): told apart with any kind of colour blindness.
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)
FILL = 0.4  # opacity of a mask
_READABLE = 600  # pixels; the longer side that a picture is brought to at least, so that text has room
_LARGE = 1200  # pixels of the longer side for each step of line and text size, so that both survive being viewed smaller


class Instances(NamedTuple):
    """Objects of one picture."""

    boxes: np.ndarray  # [n, 4] x1, y1, x2, y2 in pixels of the picture
    labels: np.ndarray  # [n] int, 0..K-1
    scores: np.ndarray | None  # [n] in 0..1, best first; None for ground truth
    masks: list[np.ndarray] | None  # n bitmaps [h, w] bool of the whole picture; None to draw boxes only


def zoom_of(height: int, width: int) -> int:
    """The whole number by which pictures of this size are enlarged: 1 from 600 pixels on the longer side."""
    return max(1, -(-_READABLE // max(height, width)))


def enlarge(picture: np.ndarray, zoom: int) -> np.ndarray:
    """Repeats each pixel `zoom` times along both axes, so that pixels stay pixels."""
    return picture.repeat(zoom, axis=0).repeat(zoom, axis=1)


def draw_instances(picture: np.ndarray, instances: Instances, classes: list[str]) -> np.ndarray:
    """Draws objects, each in its own colour, the first ones on top. A text that would cover another is left out.

    Args:
        picture: [h, w, 3] u8 RGB; not changed.
        instances: what to draw.
        classes: name of each label.

    Returns:
        [h * zoom, w * zoom, 3] u8 RGB with `zoom = zoom_of(h, w)`.
    """
    zoom = zoom_of(*picture.shape[:2])
    canvas = np.ascontiguousarray(enlarge(picture, zoom))
    scale = 1 + max(canvas.shape[:2]) // _LARGE
    order = range(len(instances.boxes))
    for i in reversed(order):
        colour = PALETTE[i % len(PALETTE)]
        if instances.masks is not None:
            _draw_mask(canvas, enlarge(instances.masks[i], zoom), colour, scale)
        x1, y1, x2, y2 = _corners(instances.boxes[i], zoom)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, scale)
    taken: list[tuple[int, int, int, int]] = []
    for i in order:
        text = classes[int(instances.labels[i])]
        if instances.scores is not None:
            text += f" {instances.scores[i]:.2f}"
        _draw_label(canvas, text, _corners(instances.boxes[i], zoom), PALETTE[i % len(PALETTE)], scale, taken)
    return canvas


def _corners(box: np.ndarray, zoom: int) -> tuple[int, int, int, int]:
    """First and last column and row that a box covers: its far edges belong to the next pixel."""
    x1, y1, x2, y2 = (round(float(edge) * zoom) for edge in box)
    return x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)


def _draw_mask(canvas: np.ndarray, mask: np.ndarray, colour: Colour, scale: int) -> None:
    """Tints a mask's pixels and paints its rim, `2 * scale` pixels wide and inside the mask, in the full colour."""
    canvas[mask] = np.round((1 - FILL) * canvas[mask] + FILL * np.array(colour)).astype(np.uint8)
    # Beyond the picture's border counts as inside, so that an object cut by it gets no rim there.
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2 * scale)
    canvas[mask & (core == 0)] = colour


def _draw_label(
    canvas: np.ndarray,
    text: str,
    corners: tuple[int, int, int, int],
    colour: Colour,
    scale: int,
    taken: list[tuple[int, int, int, int]],
) -> None:
    """Writes above the box, else below it, else inside it; nowhere if a text in `taken` is in the way each time."""
    rows, columns = canvas.shape[:2]
    text = shorten(text, columns, scale)
    width, height = text_size(text, scale)
    x1, y1, _, y2 = corners
    left = max(min(x1, columns - width), 0)
    for top in (y1 - height, y2 + 1, y1):
        free = all(
            left + width <= x or x + w <= left or top + height <= y or y + h <= top for x, y, w, h in taken
        )
        if 0 <= top <= rows - height and free:
            put_text(canvas, text, left, top, colour, scale)
            taken.append((left, top, width, height))
            return
