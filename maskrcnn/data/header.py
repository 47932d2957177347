"""Sizes of pictures from the first bytes of their files."""

import struct
from pathlib import Path

from PIL import Image

from maskrcnn.data.stored import ORIENTATION
from maskrcnn.data.tiff import MAGIC, read_tiff_header

TURNED = ("JPEG", "MPO", "PNG", "WEBP")  # formats whose EXIF entry OpenCV follows

Image.MAX_IMAGE_PIXELS = None  # Pillow's guard against decoding huge pictures; only headers and label maps are read.

Size = tuple[int, int]  # height, width


def read_sizes(path: Path) -> tuple[Size, Size]:
    """Heights and widths of a picture: as viewers and `read_picture` show it, turned as its EXIF entry says; and as it
    would be without that entry.

    No pixel is decoded. For the same reason, an EXIF entry that a PNG holds after its pixels is not seen.

    Raises:
        ValueError: the file is not a picture; the message names it.
    """
    broken = f"{path} is not a picture, or broken: replace it, or remove it and its annotations"
    with path.open("rb") as file:
        tiff = file.read(4) in MAGIC
    if tiff:  # Pillow does not read those of five channels
        header = read_tiff_header(path)
        if header is None:
            raise ValueError(broken)
        height, width, orientation = header
        return ((width, height) if orientation >= 5 else (height, width)), (height, width)
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            form, entry = picture.format, picture.info.get("exif")
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(broken) from error
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
