"""Reads picture files: any of 8 or 16 bits, grey, colour or transparent, turned as their EXIF entry says."""

from pathlib import Path

import cv2
import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"
MAYBE_TRANSPARENT = (b"\3", b"\4", b"\6")  # of PNG's colour types: palette, grey and colour with alpha


def read_picture(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Reads a picture as RGB.

    Args:
        path: of the file.
        size: height and width that the annotations were made for. Annotation tools differ in whether they follow the
            EXIF entry on how the camera was held, so the orientation that has this size is taken. None, or a size that
            both have, follows the EXIF entry.

    Returns:
        [h, w, 3] uint8 RGB. Transparent parts of a PNG are black; 16 bits are divided down to 8.

    Raises:
        ValueError: the file cannot be read as a picture, or has another size; the message names it.
    """
    data = path.read_bytes()
    image = _decode(data, path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if size is not None and image.shape[:2] != tuple(size):
        raw = _decode(data, path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
        if raw.shape[:2] != tuple(size):
            raise ValueError(
                f"{path} is {image.shape[0]} pixels high and {image.shape[1]} wide, but its annotations are for "
                f"{size[0]} x {size[1]}: correct 'height' and 'width' in the annotation file (and the coordinates, if "
                "they belong to the other size), or put the original picture back"
            )
        image = raw
    return image


def _decode(data: bytes, path: Path, flags: int) -> np.ndarray:
    if data[:8] == PNG and data[25:26] in MAYBE_TRANSPARENT:
        flags = cv2.IMREAD_UNCHANGED  # the only way to see the transparency
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(
            f"{path} is not a picture, or broken ({len(data)} bytes): replace it, or remove it from the annotations"
        )
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 = 255 * 257
    if image.dtype != np.uint8:
        raise ValueError(f"{path} has pixels of type {image.dtype}; convert it to 8 or 16 bits a channel")
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.uint16)
        image = ((image[..., :3] * alpha + 127) // 255).astype(np.uint8)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
