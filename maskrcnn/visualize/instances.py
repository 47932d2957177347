"""Objects drawn over their picture: boxes, masks, class names and scores."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.ops.paste import Crop
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
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the latter two exclusive

FILL = 0.4  # opacity of a mask
_READABLE = 600  # pixels; the longer side that a picture is brought to at least, so that text has room
_LARGE = 1200  # pixels; lines and texts grow by 1 for each of these on the longer side, to survive being viewed smaller


class Instances(NamedTuple):
    """Objects of one picture."""

    boxes: np.ndarray  # [n, 4] x1, y1, x2, y2 in pixels of the picture
    labels: np.ndarray  # [n] int, 0..K-1
    scores: np.ndarray | None  # [n] in 0..1, best first; None for ground truth
    # n bitmaps [h, w] bool of the whole picture, or crops of them, which spare memory; None to draw boxes only
    masks: Sequence[np.ndarray | Crop] | None


def zoom_of(height: int, width: int) -> int:
    """The whole number by which pictures of this size are enlarged: 1 from 600 pixels on the longer side."""
    return max(1, -(-_READABLE // max(height, width)))


def enlarge(picture: np.ndarray, zoom: int) -> np.ndarray:
    """Repeats each pixel `zoom` times along both axes, so that pixels stay pixels."""
    return picture.repeat(zoom, axis=0).repeat(zoom, axis=1)


def to_rgb(picture: np.ndarray) -> np.ndarray:
    """What is shown of a picture [h, w, C]: channels 1 to 3 as red, green and blue, or the first as grey if C < 3."""
    return picture[..., :3] if picture.shape[2] >= 3 else picture[..., :1].repeat(3, axis=2)


def draw_instances(picture: np.ndarray, instances: Instances, classes: list[str]) -> np.ndarray:
    """Draws objects, each in its own colour, the first ones on top.

    A text is left out where it would cover another text, or where it is larger than its object and would cover the box
    of any: in a crowd the objects matter more than their names.

    Args:
        picture: [h, w, C] u8, RGB if C is 3, see `to_rgb`; not changed.
        instances: what to draw.
        classes: name of each label.

    Returns:
        [h * zoom, w * zoom, 3] u8 RGB with `zoom = zoom_of(h, w)`.
    """
    zoom = zoom_of(*picture.shape[:2])
    canvas = np.ascontiguousarray(enlarge(to_rgb(picture), zoom))
    paint_instances(canvas, instances, classes, zoom, own_colours(len(instances.boxes)))
    return canvas


def own_colours(count: int) -> list[Colour]:
    """A colour for each of some objects, in the palette's order."""
    return [PALETTE[i % len(PALETTE)] for i in range(count)]


def paint_instances(
    canvas: np.ndarray, instances: Instances, classes: list[str], zoom: int, colours: list[Colour]
) -> None:
    """Draws objects into a picture [h * zoom, w * zoom, 3] u8 RGB that is `zoom` times as large as theirs, each in its
    colour.
    """
    scale = 1 + max(canvas.shape[:2]) // _LARGE
    rectangles = [_rectangle(box, zoom, canvas.shape) for box in instances.boxes]
    for i in reversed(range(len(rectangles))):
        if instances.masks is not None:
            mask = instances.masks[i]
            crop = mask if isinstance(mask, Crop) else Crop(mask, 0, 0)
            _draw_mask(canvas, Crop(enlarge(crop.values, zoom), crop.top * zoom, crop.left * zoom), colours[i], scale)
        left, top, right, bottom = rectangles[i]
        paint_frame(canvas[top:bottom, left:right], colours[i], scale)
    obstacles = np.array([*rectangles, *rectangles]).reshape(-1, 4)  # all boxes, then those of the texts so far
    texts = len(rectangles)
    for i, box in enumerate(rectangles):
        text = classes[int(instances.labels[i])]
        if instances.scores is not None:
            text += f" {instances.scores[i]:.2f}"
        text = shorten(text, canvas.shape[1], scale)
        size = text_size(text, scale)
        larger = size[0] * size[1] > (box[2] - box[0]) * (box[3] - box[1])
        place = _place(size, box, obstacles[0 if larger else len(rectangles) : texts], canvas.shape)
        if place is not None:
            put_text(canvas, text, place[0], place[1], colours[i], scale)
            obstacles[texts] = place
            texts += 1


def _rectangle(box: np.ndarray, zoom: int, shape: tuple[int, ...]) -> Rectangle:
    """The pixels of the enlarged picture that a box covers, at least one each way."""
    x1, y1, x2, y2 = (round(float(edge) * zoom) for edge in box)
    left, top = min(max(x1, 0), shape[1] - 1), min(max(y1, 0), shape[0] - 1)
    return left, top, max(min(x2, shape[1]), left + 1), max(min(y2, shape[0]), top + 1)


def paint_frame(picture: np.ndarray, colour: Colour, width: int) -> None:
    """Paints a frame so many pixels wide along the border of a picture [h, w, 3] u8 RGB, inside it."""
    picture[:width], picture[-width:], picture[:, :width], picture[:, -width:] = (colour,) * 4


def _draw_mask(canvas: np.ndarray, crop: Crop, colour: Colour, scale: int) -> None:
    """Tints a mask's pixels and paints its rim, `2 * scale` pixels wide and inside the mask, in the full colour."""
    # Beyond the picture's border counts as inside, so that an object cut by it gets no rim there.
    rim = 2 * scale
    height, width = crop.values.shape
    top, left = max(crop.top - rim, 0), max(crop.left - rim, 0)
    window = canvas[top : crop.top + height + rim, left : crop.left + width + rim]
    mask = np.zeros(window.shape[:2], bool)
    mask[crop.top - top :, crop.left - left :][:height, :width] = crop.values
    window[mask] = np.round((1 - FILL) * window[mask] + FILL * np.array(colour)).astype(np.uint8)
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=rim)
    window[mask & (core == 0)] = colour


def _place(size: tuple[int, int], box: Rectangle, obstacles: np.ndarray, shape: tuple[int, ...]) -> Rectangle | None:
    """Where a text of this width and height goes: above its box, else below, else inside; None if obstacles [n, 4]
    leave no room.
    """
    width, height = size
    left = max(min(box[0], shape[1] - width), 0)
    for top in (box[1] - height, box[3], box[1]):
        place = (left, top, left + width, top + height)
        if top >= 0 and place[3] <= shape[0] and not _overlap(place, obstacles).any():
            return place
    return None


def _overlap(a: Rectangle, others: np.ndarray) -> np.ndarray:
    return (a[0] < others[:, 2]) & (others[:, 0] < a[2]) & (a[1] < others[:, 3]) & (others[:, 1] < a[3])
