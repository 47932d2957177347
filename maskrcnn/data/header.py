"""Sizes and channels of pictures from the first bytes of their files, and the files that count as pictures."""

import threading
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from maskrcnn.data.stored import find_orientation
from maskrcnn.data.tiff import MAGIC, read_tiff_header

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
TURNED = ("JPEG", "MPO", "PNG", "WEBP")  # formats whose EXIF entry OpenCV follows

PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type; not of a palette

Size = tuple[int, int]  # height, width


class _AnySize:
    """Within it, in any number of threads, Pillow opens pictures of any size. Its guard is against decoding huge ones,
    of which we read headers only, and label maps; programs that import us keep it.
    """

    def __init__(self) -> None:
        self.lock, self.within = threading.Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            if not self.within:
                self.guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self.within += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.within -= 1
            if not self.within:
                Image.MAX_IMAGE_PIXELS = self.guard


any_size = _AnySize()


class Header(NamedTuple):
    """What a file says of its pixels."""

    shown: Size  # as viewers and `PictureReader` show it, turned as its EXIF entry says
    stored: Size  # as it would be without that entry
    channels: int | None  # None where that needs the pixels, or a decoder's word
    opacity: bool  # whether the last of them is that

    def suits(self, channels: int) -> bool:
        """Whether `PictureReader` may take it for `data.channels`, as far as the header tells."""
        if self.channels is None:
            return True
        return self.channels - self.opacity in (1, 3) if channels == 3 else self.channels == channels


def read_header(path: Path) -> Header:
    """The header of a picture.

    No pixel is decoded. For the same reason, an EXIF entry that a PNG holds after its pixels is not seen.

    Raises:
        ValueError: the file is not a picture; the message names it.
    """
    broken = f"{path} is not a picture, or broken: replace it, or remove it and its annotations"
    with path.open("rb") as file:
        start = file.read(26)
    if start[:4] in MAGIC:  # Pillow does not read those of five channels
        tiff = read_tiff_header(path)
        if tiff is None:
            raise ValueError(broken)
        height, width = tiff.height, tiff.width
        shown = (width, height) if tiff.orientation >= 5 else (height, width)
        return Header(shown, (height, width), tiff.channels, tiff.opacity)
    try:
        with any_size, Image.open(path) as picture:
            width, height = picture.size
            form, entry, mode = picture.format, picture.info.get("exif"), picture.mode
            keyed = "transparency" in picture.info  # a colour that is transparent: the decoder adds a channel
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(broken) from error
    channels = None
    if form == "PNG" and not keyed:
        channels = PNG_CHANNELS.get(start[25])
    elif form in ("JPEG", "MPO"):
        channels = {"L": 1, "RGB": 3}.get(mode)
    turned = form in TURNED and entry and find_orientation(entry.removeprefix(b"Exif\0\0")) >= 5
    shown = (width, height) if turned else (height, width)
    return Header(shown, (height, width), channels, channels in (2, 4))


def check_size(path: Path, size: Size, annotations: Path) -> Size:
    """The height and width that a picture's annotations state, if it has them, turned as its EXIF entry says or not.

    `PictureReader` later takes the orientation that has this size.

    Args:
        path: of the picture; size: height and width in its annotations; annotations: their file, for the message.

    Raises:
        ValueError: the picture has another size, or is none.
    """
    sizes = read_header(path)[:2]
    if size not in sizes:
        raise ValueError(
            f"{annotations} is for a picture {size[0]} pixels high and {size[1]} wide, but {path} is {sizes[0][0]} x "
            f"{sizes[0][1]}: put the picture that was annotated back, or annotate this one"
        )
    return sizes[sizes.index(size)]  # integers, where JSON has 480.0
