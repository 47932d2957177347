"""Pixels as a picture file holds them, and how the camera was held."""

import struct
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

ORIENTATION = 274  # EXIF's tag; TIFF has the same

# What a viewer does with the stored pixels for each value of the tag (EXIF 2.32, section 4.6.4).
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


class Stored(NamedTuple):
    """A decoded file."""

    pixels: np.ndarray  # [h, w, c], colours in the order of the file
    orientation: int  # 1..8 of EXIF; other values mean 1
    alpha: int  # of TIFF's ExtraSamples: 2 if the last channel is opacity, 1 if the others are multiplied by it, else 0

    def upright(self) -> np.ndarray:
        """The pixels turned as the orientation says, [h, w, c] or [w, h, c]."""
        turn = _TURNS.get(self.orientation)
        return self.pixels if turn is None else turn(self.pixels)


def from_opencv(image: np.ndarray) -> np.ndarray:
    """What OpenCV decoded, [h, w] or blue, green, red and maybe opacity last, as [h, w, c] with red first."""
    if image.ndim == 2:
        return image[..., None]
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def find_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, which is laid out as a TIFF file (TIFF 6.0, section 2); 1 where none is."""
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for i in range(count):
            tag, value = struct.unpack_from(f"{order}H6xH", exif, start + 2 + 12 * i)
            if tag == ORIENTATION:
                return int(value)
    except struct.error:  # cut short: as if it were not there
        pass
    return 1
