"""Reads TIFF files of any number of channels.

OpenCV alone will not do: version 5.0.0 refuses more than four samples a pixel, loses one of two, drops pages, and
returns wrong pixels without an error where 16-bit samples lie in planes of their own.
"""

import io
import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG, TIFF, TiffPage

from maskrcnn.data.stored import ORIENTATION, Stored, from_opencv

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two of BigTIFF
_EXTRA_SAMPLES = 338
# A file of few bytes may claim any size, as what it leaves out is black. No usual compression makes 3000 of one byte.
_FEW, _EXPANDED = 2**28, 3000
_REDUCED_OR_MASK = 0b101  # of NewSubfileType: a preview, or the transparency of another page

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs of a broken file, we say in one sentence


def read_tiff(data: bytes, path: Path) -> Stored | None:
    """Decodes a TIFF: samples of a pixel, and pages of the first one's size, become channels, in this order.

    Previews and masks among the pages do not count.

    Args:
        data: of the file; path: for messages.

    Returns:
        None if the file is broken.

    Raises:
        ValueError: neither tifffile nor OpenCV reads this compression or layout; the message says what to do.
    """
    try:
        return _decode(data)
    except _Unreadable as error:
        raise ValueError(f"{path} {error}") from error
    except Exception:  # a broken file raises whatever its bytes lead to: TiffFileError, zlib.error, IndexError, ...
        return None


class TiffHeader(NamedTuple):
    """What a TIFF says of its pixels."""

    height: int  # as stored
    width: int
    orientation: int  # 1..8 of EXIF
    channels: int | None  # None where they are inks, chroma or a palette
    opacity: bool  # whether the last one is that


def read_tiff_header(path: Path) -> TiffHeader | None:
    """What `read_tiff` would find; None if the file is broken."""
    try:
        with tifffile.TiffFile(path) as file:
            pages, alpha = _channels(file)
            first = pages[0]
            known = all(map(_is_direct, pages))
            channels = sum(page.samplesperpixel for page in pages) if known else None
            return TiffHeader(first.imagelength, first.imagewidth, _orientation(first), channels, alpha > 0)
    except Exception:  # as in `read_tiff`
        return None


class _Unreadable(Exception):
    """A sound file that nothing here decodes; says why and what to do."""


def _decode(data: bytes) -> Stored:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages, alpha = _channels(file)
        first = pages[0]
        orientation = _orientation(first)
        if sum(page.nbytes for page in pages) > max(_FEW, _EXPANDED * len(data)):
            raise ValueError("it claims more pixels than it can hold")
        if all(map(_is_plain, pages)):
            return Stored(np.concatenate([_pixels(page) for page in pages], axis=2), orientation, alpha)
        if len(pages) > 1 or first.index != 0 or not _suits_opencv(first):
            raise _Unreadable(
                f"is a TIFF of {first.samplesperpixel} samples a pixel in {len(pages)} pages with compression "
                f"{COMPRESSION(first.compression).name}, which is not read: save it with Deflate or without "
                "compression, or `pip install imagecodecs`"
            )
        return Stored(_decode_with_opencv(data, file, first), orientation, alpha)


def _channels(file: tifffile.TiffFile) -> tuple[list[TiffPage], int]:
    """The pages that become channels, and `alpha` of `Stored`."""
    every: list[TiffPage] = []
    places = set()
    for page in file.pages:
        if page.offset in places:  # each names the place of the next
            raise ValueError("its pages lead in a circle")
        places.add(page.offset)
        every.append(page.aspage())
    whole = [page for page in every if not page.subfiletype & _REDUCED_OR_MASK] or every[:1]
    pages = [page for page in whole if page.shape == whole[0].shape]
    declared = [int(kind) for kind in whole[0].extrasamples]
    return pages, declared[0] if len(pages) == len(declared) == 1 else 0


def _orientation(page: TiffPage) -> int:
    return int(page.tags.valueof(ORIENTATION, default=1))


def _is_direct(page: TiffPage) -> bool:
    """Whether a page's samples are what they seem: no palette, no inks, no chroma."""
    return page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB) or page.samplesperpixel > 4


def _is_plain(page: TiffPage) -> bool:
    """Whether tifffile reads a page, too."""
    return _is_direct(page) and page.bitspersample in (8, 16, 32, 64) and page.compression in TIFF.DECOMPRESSORS


def _pixels(page: TiffPage) -> np.ndarray:
    """[h, w, c]"""
    pixels = page.asarray()
    if pixels.ndim == 2:
        return pixels[..., None]
    return pixels if page.planarconfig == PLANARCONFIG.CONTIG else pixels.transpose(1, 2, 0)


def _suits_opencv(page: TiffPage) -> bool:
    """Whether OpenCV reads a page right: it takes planes for pixels where they have more than 8 bits."""
    interleaved = page.planarconfig == PLANARCONFIG.CONTIG or page.bitspersample <= 8
    return page.samplesperpixel in (1, 3, 4) and interleaved


def _decode_with_opencv(data: bytes, file: tifffile.TiffFile, page: TiffPage) -> np.ndarray:
    """[h, w, c] of a page that needs libtiff, such as one with LZW or JPEG compression, or a palette.

    OpenCV turns the pixels whatever its flags say, and multiplies colours of 8 bits by their opacity, but not others:
    both tags are overwritten with what means nothing.
    """
    changed = bytearray(data)
    for tag, neutral in ((ORIENTATION, 1), (_EXTRA_SAMPLES, 0)):
        if tag in page.tags:
            place = page.tags[tag].valueoffset
            changed[place : place + 2] = neutral.to_bytes(2, "little" if file.byteorder == "<" else "big")
    inks = page.photometric == PHOTOMETRIC.SEPARATED
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH if inks else cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(np.frombuffer(changed, np.uint8), flags)
    if pixels is None:
        raise ValueError("OpenCV cannot decode it")
    return from_opencv(pixels)
