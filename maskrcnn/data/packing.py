"""The masks of many annotations at once, where they are ordinary: a third of the time that rasterising them takes."""

import struct
from typing import Any

import numpy as np

from maskrcnn.data.rle import count_pixels
from maskrcnn.data.segmentation import FARTHEST, LONGEST, Defect, encode_runs, pack, to_bytes

CLEAR = 1.0  # pixels; pycocotools moves a polygon by less: to fifths of a pixel, at its corners and between them


def pack_masks(segmentations: list[Any], sizes: list[tuple[int, int]]) -> list[bytes | None]:
    """Packs the ordinary ones among many `segmentation`s.

    Args:
        segmentations: as in COCO's files, of any form; sizes: height and width of the picture of each.

    Returns:
        For each what `store` returns; None where that is not certain: there may be a defect, or no pixel.
    """
    packed: list[bytes | None] = [None] * len(segmentations)
    polygons: dict[int, list[bytes]] = {}  # by position
    runs: dict[int, bytes] = {}
    for row, (segmentation, size) in enumerate(zip(segmentations, sizes, strict=True)):
        try:
            if isinstance(segmentation, dict):
                runs[row] = encode_runs(segmentation, *size)
            else:
                outlines = [to_bytes(polygon) for polygon in segmentation]
                if outlines and not any([len(outline) < 48 or len(outline) % 16 for outline in outlines]):
                    polygons[row] = outlines
        except (Defect, TypeError, OverflowError, struct.error):  # the latter three: not lists of numbers
            continue
    for row in _certain_polygons(polygons, sizes):
        packed[row] = pack(polygons[row])
    for row in _certain_runs(runs, sizes):
        packed[row] = runs[row]
    return packed


def _certain_runs(runs: dict[int, bytes], sizes: list[tuple[int, int]]) -> list[int]:
    """The positions of run lengths that have a pixel, and are as long as their picture."""
    if not runs:
        return []
    rows = np.array(list(runs))
    try:
        spanned, pixels = count_pixels(list(runs.values()))
    except ValueError:  # of one of them; then each has to be looked at for itself
        return []
    certain: list[int] = rows[(spanned == np.array(sizes)[rows].prod(axis=1)) & (pixels > 0)].tolist()
    return certain


def _certain_polygons(polygons: dict[int, list[bytes]], sizes: list[tuple[int, int]]) -> list[int]:
    """The positions of lists of polygons that can all be read, and one of which surely has a pixel."""
    if not polygons:
        return []
    rows = np.array(list(polygons))
    numbers = np.array([len(outlines) for outlines in polygons.values()])
    flat = [outline for outlines in polygons.values() for outline in outlines]
    lengths = np.array([len(outline) for outline in flat]) // 16
    pictures = np.repeat(np.array(sizes)[rows, ::-1], numbers, axis=0)
    near, seen = _examine(np.frombuffer(b"".join(flat)).reshape(-1, 2), lengths, pictures)
    firsts = np.cumsum(numbers) - numbers
    certain: list[int] = rows[np.logical_and.reduceat(near, firsts) & np.logical_or.reduceat(seen, firsts)].tolist()
    return certain


def _examine(points: np.ndarray, lengths: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Looks at one pixel of each polygon, that nearest to the mean of its corners.

    Args:
        points: [n, 2] float64, corners of one polygon after another, x and y in continuous pixels.
        lengths: [P] int64, how many of them each polygon has; sizes: [P, 2] int64, width and height of its picture.

    Returns:
        near: [P] bool, whether all numbers are finite and less than FARTHEST, and the sides surely less than LONGEST;
        seen: [P] bool, whether the centre of the
        pixel is inside, by the even-odd rule, and so far from all sides that rasterising cannot change that.
    """
    firsts = np.cumsum(lengths) - lengths
    farthest = np.maximum.reduceat(np.abs(points).ravel(), 2 * firsts)
    near = (farthest < FARTHEST) & (2 * farthest * lengths < LONGEST)  # not where one is NaN
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.add.reduceat(points, firsts) / lengths[:, None]
        centre = np.clip(np.floor(mean), 0, sizes - 1) + 0.5
        x, y = np.ascontiguousarray((points - np.repeat(centre, lengths, axis=0)).T)
        following = np.arange(1, len(points) + 1)
        following[firsts + lengths - 1] = firsts
        dx, dy = x[following] - x, y[following] - y
        above = y > 0
        crossing = (above != above[following]) & ((x * dy > y * dx) == (dy > 0))  # of the ray from the centre along x
        foot = np.clip(-(x * dx + y * dy) / np.maximum(dx * dx + dy * dy, 1e-300), 0, 1)  # of the centre, on the side
        squared = (x + foot * dx) ** 2 + (y + foot * dy) ** 2
    inside = np.logical_xor.reduceat(crossing, firsts)
    return near, inside & (np.minimum.reduceat(squared, firsts) > CLEAR**2)
