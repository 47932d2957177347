"""Masks as they travel: in cells, within their own boxes."""

import cv2
import numpy as np

from maskrcnn.data.columns import Columns, Extents
from maskrcnn.data.line import mark
from maskrcnn.structures import MASK_CROP

FAR = 2**62  # beyond all cells


def crop_masks(columns: Columns, extents: Extents) -> np.ndarray:
    """The coverage, 0..255, of masks within their extents: [n, height, width] uint8, no more than the largest needs.

    A cell is a pixel. A side longer than MASK_CROP pixels gets that many cells, of the means of the pixels. The cells
    in use fill the top left corner.

    Args:
        columns: the masks; extents: of those that are wanted.
    """
    instances, corners = extents
    sizes = corners[:, 2:] - corners[:, :2]
    used = np.minimum(sizes, MASK_CROP)
    width, height = used.max(axis=0, initial=0).tolist()
    large = (sizes > MASK_CROP).any(axis=1)
    places = (np.arange(len(instances)) * width - corners[:, 0]) * height - corners[:, 1]
    places[large] = FAR
    corner = np.full(columns.number, FAR)  # where a mask's picture would begin in a line of all columns of cells
    corner[instances] = places
    start = corner[columns.mask] + columns.x * height + columns.y1
    some = (start < FAR // 2).nonzero()[0]
    start = start[some]
    line = mark(start, start + (columns.y2 - columns.y1)[some], len(instances) * width * height)
    masks = line.reshape(len(instances), width, height).swapaxes(1, 2)
    for i in large.nonzero()[0].tolist():
        (x1, y1, _, _), (w, h), (columns_used, rows_used) = corners[i].tolist(), sizes[i].tolist(), used[i].tolist()
        own = slice(*columns.mask.searchsorted((instances[i], instances[i] + 1)).tolist())
        before = (columns.x[own] - x1) * h - y1
        covered = cv2.transpose(mark(before + columns.y1[own], before + columns.y2[own], w * h).reshape(w, h))
        masks[i, :rows_used, :columns_used] = cv2.resize(
            covered, (columns_used, rows_used), interpolation=cv2.INTER_AREA
        )
    return masks
