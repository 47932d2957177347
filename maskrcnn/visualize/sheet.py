"""Pictures beside each other: ground truth and prediction, and sheets of many such pairs."""

from pathlib import Path

import cv2
import numpy as np

from maskrcnn.visualize.instances import Instances, draw_instances
from maskrcnn.visualize.text import BLACK, WHITE, put_text, shorten, text_size
from maskrcnn.whole_file import replacing

_GAP = 8  # pixels between the two pictures of a pair


def captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    """A picture [h, w, 3] u8 RGB under a black bar with its caption in white, shortened to the picture's width."""
    bar = np.full((text_size(caption, 1)[1], *picture.shape[1:]), BLACK, np.uint8)
    put_text(bar, shorten(caption, picture.shape[1], 1), 0, 0, BLACK, 1)
    return np.concatenate([bar, picture])


def side_by_side(
    picture: np.ndarray, ground_truth: Instances, prediction: Instances, classes: list[str], caption: str
) -> np.ndarray:
    """Draws the truth on the left and what was predicted on the right, with captions.

    Args:
        picture: [h, w, C] u8, RGB if C is 3.
        ground_truth, prediction: objects in the frame of `picture`.
        classes: name of each label.
        caption: of the prediction.

    Returns:
        A picture u8 RGB of the two, each enlarged as `draw_instances` does.
    """
    left = captioned(draw_instances(picture, ground_truth, classes), "ground truth")
    right = captioned(draw_instances(picture, prediction, classes), caption)
    gap = np.full((left.shape[0], _GAP, 3), WHITE, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def contact_sheet(pictures: list[np.ndarray], columns: int, gap: int = 32) -> np.ndarray:
    """Lays pictures out row by row on white, each in the top left corner of a cell as large as the largest picture.

    Args:
        pictures: at least one, u8 RGB of any sizes.
        columns: pictures in a row; gap: pixels between them.
    """
    height = max(picture.shape[0] for picture in pictures) + gap
    width = max(picture.shape[1] for picture in pictures) + gap
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * height - gap, min(columns, len(pictures)) * width - gap, 3), WHITE, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * height, i % columns * width
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def encode_png(picture: np.ndarray) -> bytes:
    """A picture [H, W, 3] u8 RGB as a PNG file's content."""
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def save_png(path: Path, picture: np.ndarray) -> None:
    """Writes a picture [H, W, 3] u8 RGB.

    Raises:
        ValueError: the path doesn't end in .png.
        OSError: nothing can be written there; it names the path, and leaves nothing.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: pictures are written as PNG; let the name end in .png")
    # cv2.imwrite says no more than False when it fails, so the bytes are written here, where the reason is known.
    try:
        with replacing(path) as part:  # not through a link
            part.write_bytes(encode_png(picture))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk names no file
