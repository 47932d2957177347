import numpy as np
import pytest

from maskrcnn.visualize.instances import PALETTE
from maskrcnn.visualize.text import BLACK, WHITE, put_text, shorten, text_size


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of WCAG 2.1."""
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", [*PALETTE, BLACK])
def test_text_has_the_better_contrast(background: tuple[int, int, int]) -> None:
    picture = np.full((60, 200, 3), 128, np.uint8)
    put_text(picture, "HHH", 20, 10, background, 1)
    better = max(BLACK, WHITE, key=lambda colour: contrast(colour, background))
    assert contrast(better, background) >= 5
    assert (picture == np.array(better)).all(-1).any()
    worse = WHITE if better == BLACK else BLACK
    assert background == worse or not (picture == np.array(worse)).all(-1).any()


@pytest.mark.parametrize("text", ["disc", "gypsy 0.12", "A"])
@pytest.mark.parametrize("scale", [1, 2])
def test_text_stays_on_its_background(text: str, scale: int) -> None:
    picture = np.full((100, 400, 3), 128, np.uint8)
    put_text(picture, text, 20, 10, (230, 159, 0), scale)
    width, height = text_size(text, scale)
    changed = (picture != 128).any(-1)
    assert changed[10 : 10 + height, 20 : 20 + width].all()
    assert changed.sum() == width * height
    edge = picture[10 : 10 + height, 20 : 20 + width].copy()
    edge[scale:-scale, scale:-scale] = (230, 159, 0)
    assert (edge == (230, 159, 0)).all()  # strokes keep off the rim of the background


def test_half_a_character_is_drawn_as_a_question_mark() -> None:
    """OpenCV ended the process at one."""
    pictures = [np.zeros((40, 200, 3), np.uint8) for _ in range(2)]
    for picture, text in zip(pictures, ("a\ud800b", "a?b")):
        put_text(picture, text, 5, 5, (230, 159, 0), 1)
    assert np.array_equal(*pictures)
    assert text_size("\ud800", 1) == text_size("?", 1)


def test_shortened_text_is_the_longest_that_fits() -> None:
    assert shorten("nucleus", 500, 1) == "nucleus"
    width = text_size("nucleus of a cell", 1)[0] - 1
    short = shorten("nucleus of a cell", width, 1)
    assert short.endswith("..") and "nucleus of a cell".startswith(short[:-2])
    longer = "nucleus of a cell"[: len(short) - 1] + ".."
    assert text_size(short, 1)[0] <= width < text_size(longer, 1)[0]
