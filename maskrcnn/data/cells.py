"""Masks as they travel: in cells, within their own boxes."""

import cv2
import numpy as np

from maskrcnn.data.line import cumulate, paint
from maskrcnn.data.regions import Regions
from maskrcnn.data.rows import Extents, Rows
from maskrcnn.structures import MASK_CROP

FAR = 2**62  # beyond all cells


def crop_masks(regions: Regions, rows: Rows, extents: Extents) -> np.ndarray:
    """The coverage, 0..255, of masks within their extents: [n, height, width] uint8, no more than the largest needs.

    A cell is a pixel. A side longer than MASK_CROP pixels gets that many cells, of the means of the pixels. The cells
    in use fill the top left corner.

    Args:
        regions: the masks; rows: of all of them; extents: of those that are wanted.
    """
    instances, corners = extents
    sizes = corners[:, 2:] - corners[:, :2]
    used = np.minimum(sizes, MASK_CROP)
    width, height = used.max(axis=0, initial=0).tolist()
    large = (sizes > MASK_CROP).any(axis=1)
    corner = np.full(regions.number, FAR)  # where a mask's picture would begin in a line of all rows of cells
    places = (np.arange(len(instances)) * height - corners[:, 1]) * width - corners[:, 0]
    corner[instances] = np.where(large, FAR, places)
    start = corner[rows.mask] + rows.y * width + rows.x1
    length = rows.x2 - rows.x1
    some = start < FAR // 2
    if not some.all():
        start, length = start[some], length[some]
    line = np.zeros(len(instances) * height * width + 1, np.uint8)
    paint(line, np.array(255, np.uint8), start, start + length)
    masks = cumulate(line)[:-1].reshape(len(instances), height, width)
    for i in np.flatnonzero(large).tolist():
        (x1, y1, x2, y2), (w, h) = corners[i].tolist(), used[i].tolist()
        covered = _cover(regions.image[y1:y2, x1:x2], regions.ids[regions.masks == instances[i]])
        cv2.resize(covered, (w, h), dst=masks[i, :h, :w], interpolation=cv2.INTER_AREA)
    return masks


def _cover(window: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """255 where a window's pixels have one of the ids, 0 elsewhere."""
    if len(ids) == 1:
        return cv2.inRange(window, int(ids[0]), int(ids[0]))
    table = np.zeros(np.iinfo(window.dtype).max + 1, np.uint8)
    table[ids] = 255
    return cv2.LUT(window, table)
