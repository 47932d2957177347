"""Text on a picture: always on a filled background, always inside the picture."""

import cv2
import numpy as np

Colour = tuple[int, int, int]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SCALE = 0.5  # capitals of 11 pixels
_MARGIN = 3  # pixels around the text


def text_size(text: str, scale: int) -> tuple[int, int]:
    """Width and height in pixels of a text with its background; all texts of one `scale` have the same height."""
    (width, _), _ = cv2.getTextSize(_whole(text), _FONT, _SCALE * scale, scale)
    (_, ascent), descent = cv2.getTextSize("Ag", _FONT, _SCALE * scale, scale)
    return width + 2 * _MARGIN * scale, ascent + descent + 2 * _MARGIN * scale


def _whole(text: str) -> str:
    """The text without halves of characters, which a file may hold: at one, OpenCV ends the process."""
    return text.encode(errors="replace").decode()


def shorten(text: str, width: int, scale: int) -> str:
    """The text, or its beginning and two dots where it would be wider than `width` pixels."""
    if text_size(text, scale)[0] <= width:
        return text
    while text and text_size(text + "..", scale)[0] > width:
        text = text[:-1]
    return text + ".."


def put_text(picture: np.ndarray, text: str, left: int, top: int, background: Colour, scale: int) -> None:
    """Writes a text into a picture [H, W, 3] u8 RGB, in place.

    Args:
        left, top: corner of the background, in pixels; the background is `text_size(text, scale)` large.
        background: its colour; the text is black or white, whichever contrasts more.
        scale: 1 for capitals of 11 pixels, 2 for twice as large.
    """
    width, height = text_size(text, scale)
    _, descent = cv2.getTextSize("Ag", _FONT, _SCALE * scale, scale)
    picture[top : top + height, left : left + width] = background
    # Rec. 601 luma; at 100 each colour of the palette gets the text of the higher WCAG contrast, at least 5 to 1.
    luma = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]
    colour = BLACK if luma > 100 else WHITE
    baseline = (left + _MARGIN * scale, top + height - _MARGIN * scale - descent)
    cv2.putText(picture, _whole(text), baseline, _FONT, _SCALE * scale, colour, scale, cv2.LINE_AA)
