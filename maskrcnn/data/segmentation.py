"""The three forms of a mask in COCO's files, turned into compressed run lengths: at once, or when they are needed."""

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.data.rle import count_pixels

FARTHEST = 1e5  # pixels; pycocotools walks along a polygon's edges, and one that leads far away takes all the memory
LONGEST = 1e7  # pixels along a polygon's edges, for the same reason: 70 bytes each
OUTLINE = b"p"  # what stored polygons start with; the characters of run lengths end one before
GAP = struct.pack("d", math.nan)  # between stored polygons, whose coordinates are finite
EMPTY = "an empty segmentation"


class Defect(ValueError):
    """A mask that cannot be read; the text is what kind of defect it is."""


def compress(segmentation: Any, height: int, width: int) -> tuple[bytes, int]:
    """Turns a `segmentation` of COCO's format into compressed run lengths.

    Args:
        segmentation: polygons (list of lists of x, y in continuous pixels), or {"size", "counts"} with plain or
            compressed run lengths.
        height, width: of the picture.

    Returns:
        The compressed run lengths, and how many polygons were left out because they had fewer than three points or were
        not lists of finite numbers.

    Raises:
        Defect: nothing is left of the mask.
    """
    if isinstance(segmentation, dict):
        return _compress_runs(segmentation, height, width), 0
    if not isinstance(segmentation, list):
        raise Defect("a segmentation that is neither polygons nor run lengths")
    if not segmentation or segmentation == [[]]:
        raise Defect(EMPTY)
    polygons = [polygon for polygon in segmentation if is_polygon(polygon)]
    if not polygons:
        if any(isinstance(polygon, list) and _has_nan(polygon) for polygon in segmentation):
            raise Defect("coordinates that are NaN")
        raise Defect("no polygon of three or more points, x1, y1, x2, y2, ... in one list")
    if max(map(max, polygons)) <= 1 and min(map(min, polygons)) >= 0:  # otherwise an object of one pixel, or of none
        raise Defect("coordinates from 0 to 1, as Azure ML exports them (multiply x by the width, y by the height)")
    counts = _merge(coco_mask.frPyObjects(polygons, height, width))
    if counts == _no_pixel(height, width):
        raise Defect("a mask without a pixel inside the picture")
    return counts, len(segmentation) - len(polygons)


def nest(segmentation: Any) -> Any:
    """A single polygon, as MyVision and early versions of supervision write it, as the list of polygons that it is in
    COCO's format; anything else as it is.
    """
    return [segmentation] if is_polygon(segmentation) else segmentation


def store(segmentation: Any, height: int, width: int) -> tuple[bytes, int]:
    """The same checks, but polygons stay what they are, for `rasterise`: most of the time goes into rasterising them.

    Args, Returns, Raises: of `compress`, except that polygons are packed.
    """
    counts, short = compress(segmentation, height, width)
    if isinstance(segmentation, dict):
        return counts, short
    return pack([to_bytes(polygon) for polygon in segmentation if is_polygon(polygon)]), short


def to_bytes(polygon: list[float]) -> bytes:
    """Its numbers as 64-bit floats, in a third of the time that `array` takes.

    Raises:
        struct.error, OverflowError: they are not numbers that fit.
    """
    return _floats(len(polygon)).pack(*polygon)


@lru_cache(maxsize=4096)
def _floats(number: int) -> struct.Struct:
    return struct.Struct(f"{number}d")


def pack(polygons: Sequence[bytes]) -> bytes:
    """Polygons, at least one, of `to_bytes`, as bytes that are no run lengths."""
    return OUTLINE + GAP.join(polygons)


def rasterise(stored: Sequence[bytes], height: int, width: int) -> list[bytes]:
    """The compressed run lengths of stored masks; height and width are those of their picture."""
    outlines = [_unpack(mask) if mask.startswith(OUTLINE) else [] for mask in stored]
    polygons = [polygon for mask in outlines for polygon in mask]
    parts = coco_mask.frPyObjects(polygons, height, width) if polygons else []
    counts, start = [], 0
    for mask, outline in zip(stored, outlines):
        end = start + len(outline)
        counts.append(_merge(parts[start:end]) if outline else mask)
        start = end
    return counts


def _unpack(stored: bytes) -> list[np.ndarray]:
    points = np.frombuffer(stored, np.float64, offset=len(OUTLINE))
    if GAP not in stored:
        return [points]
    gaps = np.flatnonzero(np.isnan(points)).tolist()
    return [points[a + 1 : b] for a, b in pairwise([-1, *gaps, len(points)])]


def _merge(parts: list[dict[str, Any]]) -> bytes:
    counts: bytes = (parts[0] if len(parts) == 1 else coco_mask.merge(parts))["counts"]  # merging takes 6 us
    return counts


@lru_cache(maxsize=1024)
def _no_pixel(height: int, width: int) -> bytes:
    counts: bytes = coco_mask.frPyObjects({"size": [height, width], "counts": [height * width]}, height, width)[
        "counts"
    ]
    return counts


def is_polygon(polygon: Any) -> bool:
    """Whether it is a list of finite numbers, two for each of at least three points, and no longer than `LONGEST`."""
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return False
    try:
        high, low = max(polygon), min(polygon)
        near = high < FARTHEST and low > -FARTHEST and sum(polygon) == sum(polygon)  # NaN != NaN
    except TypeError:  # not numbers
        return False
    return near and ((high - low) * len(polygon) < LONGEST or _length(polygon) < LONGEST)


def _length(polygon: list[float]) -> float:
    """How many pixels pycocotools walks along a polygon's edges."""
    points = np.array(polygon, np.float64).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


def _has_nan(polygon: list[Any]) -> bool:
    return any(isinstance(number, float) and math.isnan(number) for number in polygon)


def encode_runs(segmentation: dict[str, Any], height: int, width: int) -> bytes:
    """Run lengths in their compressed form, which may still be broken.

    Raises:
        Defect: of another size, empty, or nothing that could be run lengths.
    """
    counts: Any = segmentation.get("counts")
    if segmentation.get("size") != [height, width]:
        raise Defect("run lengths of another size than the picture")
    if counts in (None, [], ""):
        raise Defect(EMPTY)
    try:
        if isinstance(counts, list):
            encoded: bytes = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
            return encoded
        return bytes(counts, "ascii")
    except (ValueError, TypeError, OverflowError) as error:
        raise Defect("run lengths that do not decode") from error


def _compress_runs(segmentation: dict[str, Any], height: int, width: int) -> bytes:
    counts = encode_runs(segmentation, height, width)
    try:
        (spanned,), (pixels,) = count_pixels([counts])
    except ValueError as error:
        raise Defect("run lengths that do not decode") from error
    if spanned != height * width:
        raise Defect("run lengths that do not decode")
    if pixels == 0:
        raise Defect("a mask without a pixel inside the picture")
    return counts
