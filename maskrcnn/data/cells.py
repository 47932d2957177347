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
    places = (np.arange(len(instances)) * height - corners[:, 1]) * width - corners[:, 0]
    places[large] = FAR
    corner = np.full(regions.number, FAR)  # where a mask's picture would begin in a line of all rows of cells
    corner[instances] = places
    start = corner[rows.mask] + rows.y * width + rows.x1
    some = (start < FAR // 2).nonzero()[0]
    start = start[some]
    line = np.zeros(len(instances) * height * width + 1, np.uint8)
    paint(line, np.array(255, np.uint8), start, start + (rows.x2 - rows.x1)[some])
    masks = cumulate(line)[:-1].reshape(len(instances), height, width)
    for i in large.nonzero()[0].tolist():
        (x1, y1, x2, y2), (w, h) = corners[i].tolist(), used[i].tolist()
        table = np.zeros(2 ** (8 * regions.image.itemsize), np.uint8)
        table[regions.ids[regions.masks == instances[i]]] = 255
        covered = cv2.LUT(regions.image[y1:y2, x1:x2], table)
        cv2.resize(covered, (w, h), dst=masks[i, :h, :w], interpolation=cv2.INTER_AREA)
    return masks
