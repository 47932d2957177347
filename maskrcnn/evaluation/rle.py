"""COCO's run-length encoding of masks (the format of `pycocotools.mask`)."""

from typing import TypedDict

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.ops.paste import Crop


class Rle(TypedDict):
    """A bitmap as compressed runs, column by column."""

    size: list[int]  # height and width of the picture
    counts: str


def encode_crop(crop: Crop, size: tuple[int, int]) -> Rle:
    """Encodes a mask straight from its crop; equal to encoding the bitmap of the whole picture.

    Args:
        crop: [h, w] bool, inside the picture.
        size: height and width of the picture.
    """
    height, width = size
    inside = np.zeros((crop.values.shape[1], crop.values.shape[0] + 2), np.int8)  # a zero before and after each column
    inside[:, 1:-1] = crop.values.T
    columns, rows = np.nonzero(np.diff(inside, axis=1))  # column by column, each run's start and end in turn
    bounds = (columns + crop.left) * height + rows + crop.top
    if crop.values.shape[0] == height:  # Only then can a run go on from the bottom of a column to the top of the next.
        joins = np.flatnonzero(np.diff(bounds) == 0)
        bounds = np.delete(bounds, np.concatenate([joins, joins + 1]))
    counts = np.diff(bounds, prepend=0, append=height * width)
    if counts[-1] == 0:  # The mask holds the last pixel.
        counts = counts[:-1]
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return Rle(size=[height, width], counts=rle["counts"].decode("ascii"))


def decode(rle: Rle) -> np.ndarray:
    """The bitmap [H, W] bool of an encoded mask."""
    return coco_mask.decode(rle).astype(bool)
