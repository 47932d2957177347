"""Reads picture files: any of 8 or 16 bits, with any number of channels, turned as their EXIF entry says."""

from pathlib import Path

import cv2
import numpy as np

from maskrcnn.data.stored import Stored, find_orientation, from_opencv
from maskrcnn.data.stretch import Stretch
from maskrcnn.data.tiff import MAGIC, read_tiff

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"
MAYBE_TRANSPARENT = (b"\3", b"\4", b"\6")  # of PNG's colour types: palette, grey and colour with alpha
GREY_ALPHA = b"\4"


class PictureReader:
    """Reads pictures as one configuration wants them.

    Args:
        channels: `data.channels`, the number that each picture must have. With 3, pictures are RGB: grey ones are
            replicated, and transparent parts (of PNG and TIFF) are black. With any other number the samples are taken
            as they are: of a pixel, or one page of a TIFF after another; opacity is a channel like others.
        max_value: `data.max_value`, the largest value of 16-bit pictures, such as 4095 of a 12-bit camera. It becomes
            255, as does what is larger; 8-bit pictures stay as they are.
        stretch: `data.stretch`, which sets black and white of each picture by itself, whatever `max_value` is.

    Raises:
        ValueError: a number is not usable.
    """

    def __init__(self, channels: int, max_value: int, stretch: Stretch | None = None) -> None:
        if channels < 1:
            raise ValueError(f"data.channels is {channels}; give 1 or more")
        if not 1 <= max_value <= 65535:
            raise ValueError(f"data.max_value is {max_value}; give 1 to 65535, what 16 bits hold")
        self.channels, self.max_value, self.stretch = channels, max_value, stretch
        values = np.arange(2**16)
        # Rounded in integers, half up; the result for each of the 65,536 values.
        self.bytes = np.minimum((510 * values + max_value) // (2 * max_value), 255).astype(np.uint8)

    def __call__(self, path: Path, size: tuple[int, int] | None) -> np.ndarray:
        """Reads a picture.

        Args:
            path: of the file.
            size: height and width that the annotations were made for. Annotation tools differ in whether they follow
                the EXIF entry on how the camera was held, so the orientation that has this size is taken. None, or a
                size that both have, follows the EXIF entry.

        Returns:
            [h, w, channels] uint8; three channels are RGB.

        Raises:
            ValueError: the file cannot be read as a picture, or has another size or number of channels; the message
                names it.
        """
        return self.convert(self.decode(path.read_bytes(), path), path, size)

    def from_bytes(self, data: bytes) -> np.ndarray:
        """What calling the reader gives of a file, from its bytes, as of an upload; messages name it "the file"."""
        path = Path("the file")
        return self.convert(self.decode(data, path), path, None)

    def convert(self, stored: Stored, path: Path, size: tuple[int, int] | None) -> np.ndarray:
        """What calling the reader gives, of a file that `decode` has decoded."""
        pixels = stored.upright()
        if size is not None and pixels.shape[:2] != tuple(size):
            if stored.pixels.shape[:2] != tuple(size):
                raise ValueError(
                    f"{path} is {pixels.shape[0]} pixels high and {pixels.shape[1]} wide, but its annotations are for "
                    f"{size[0]} x {size[1]}: correct 'height' and 'width' in the annotation file (and the coordinates, "
                    "if they belong to the other size), or put the original picture back"
                )
            pixels = stored.pixels
        return self._to_bytes(pixels, stored.alpha, path)

    def decode(self, data: bytes, path: Path) -> Stored:
        """The pixels as a file holds them.

        Args:
            data: of the file; path: for messages.

        Raises:
            ValueError: it cannot be read as a picture.
        """
        stored = read_tiff(data, path) if data[:4] in MAGIC else self._decode_with_opencv(data)
        if stored is None:
            raise ValueError(f"{path} is not a picture, or broken ({len(data)} bytes): replace it, or leave it out")
        return stored

    def _decode_with_opencv(self, data: bytes) -> Stored | None:
        # Red first from the decoder spares a copy; only of JPEG is it known that no bit differs.
        rgb = self.channels == 3 and data[:2] == JPEG
        colour = cv2.IMREAD_COLOR_RGB if rgb else cv2.IMREAD_COLOR
        flags = colour | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        if self.channels != 3 or (data[:8] == PNG and data[25:26] in MAYBE_TRANSPARENT):
            flags = cv2.IMREAD_UNCHANGED  # the only way to see the transparency
        try:
            image, _, metadata = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            return None
        if image is None:
            return None
        orientation = find_orientation(bytes(metadata[0])) if metadata else 1
        pixels = image if rgb else from_opencv(image)
        alpha = 2 if pixels.shape[2] == 4 else 0
        if data[:8] == PNG and data[25:26] == GREY_ALPHA:
            pixels = pixels[..., [0, 3]]
        return Stored(pixels, orientation, alpha)

    def _to_bytes(self, pixels: np.ndarray, alpha: int, path: Path) -> np.ndarray:
        transparent = self.channels == 3 and alpha > 0
        if self.stretch is not None and not transparent and pixels.dtype in (np.uint8, np.uint16):
            pixels = self.stretch(pixels)
        if pixels.dtype == np.uint16:
            pixels = self.bytes[pixels]
        if pixels.dtype != np.uint8:
            raise ValueError(
                f"{path} has pixels of type {pixels.dtype}; convert it to 8 or 16 bits a channel, without sign: with "
                "one scale for all pictures, so that equal brightness stays equal"
            )
        if self.channels == 3:
            if alpha:
                opacity = pixels[..., -1:].astype(np.uint16)
                pixels = pixels[..., :-1]
                if alpha == 2:
                    pixels = ((pixels * opacity + 127) // 255).astype(np.uint8)
                if self.stretch is not None:
                    pixels = self.stretch(pixels)
            if pixels.shape[2] == 1:
                pixels = pixels.repeat(3, axis=2)
        if pixels.shape[2] != self.channels:
            raise ValueError(
                f"{path} has {pixels.shape[2]} channels, but data.channels is {self.channels}: replace the picture, or "
                f"set data.channels={pixels.shape[2]} and give model.pixel_mean and model.pixel_std as many values"
            )
        return np.ascontiguousarray(pixels)
