"""Sizes of pictures from the first bytes of their files."""

import struct
from pathlib import Path

from PIL import Image

ORIENTATION = 0x112  # the EXIF entry on how the camera was held; from 5 on, height and width are exchanged
# Formats whose EXIF entry OpenCV follows, and Pillow does not; Pillow turns the sizes of TIFF by itself.
TURNED = ("JPEG", "MPO", "PNG", "WEBP")

Image.MAX_IMAGE_PIXELS = None  # Pillow's guard against decoding huge pictures; only headers and label maps are read.

Size = tuple[int, int]  # height, width


def read_sizes(path: Path) -> tuple[Size, Size]:
    """Heights and widths of a picture: as viewers and `read_picture` show it, turned as its EXIF entry says; and as it
    would be without that entry.

    No pixel is decoded. For the same reason, an EXIF entry that a PNG holds after its pixels is not seen.

    Raises:
        ValueError: the file is not a picture; the message names it.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            form, entry = picture.format, picture.info.get("exif")
            turned_tiff = form == "TIFF" and picture.getexif().get(ORIENTATION, 1) >= 5
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is not a picture, or broken: replace it, or remove it and its annotations") from error
    if turned_tiff:
        return (height, width), (width, height)
    if form in TURNED and entry and _orientation(entry) >= 5:
        return (width, height), (height, width)
    return (height, width), (height, width)


def _orientation(entry: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(entry)
        return int(exif.get(ORIENTATION, 1))
    except (SyntaxError, ValueError, TypeError, struct.error):  # broken, and ignored by OpenCV too
        return 1
