"""Objects as lines around their parts and holes, and several lines as one."""

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.data.convert.annotated import Object
from maskrcnn.data.outline import outline_polygons
from maskrcnn.data.rle import decode_window


def outline(found: Object, height: int) -> list[list[np.ndarray]]:
    """The outlines of an object's parts: its polygons, or those of its mask's pixels.

    Args:
        found: the object; height: of its picture.

    Returns:
        For each part [n, 2] corners of its outline, then of those of its holes. What an odd number of these encloses is
        the part; those of holes run the other way round, so that fills by winding number agree.
    """
    if found.polygons is not None:
        return [[np.array(polygon).reshape(-1, 2)] for polygon in found.polygons]
    mask, left, top = decode_window(found.mask, height)
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(mask)
    outlines = []
    for part, (x, y, width, depth, _) in enumerate(boxes[1:].tolist(), start=1):  # the first is the background
        lines = _outline_part(parts[y : y + depth, x : x + width] == part)
        outlines.append([line + (left + x, top + y) for line in lines])
    return outlines


def _outline_part(rest: np.ndarray) -> list[np.ndarray]:
    outlines: list[np.ndarray] = []
    way = 1
    while rest.any():  # the part, then its holes, then what in these touches it by a corner, ...
        polygons = outline_polygons(rest)
        outlines += [np.array(polygon).reshape(-1, 2)[::way] for polygon in polygons]
        rest = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *rest.shape))).astype(bool) ^ rest
        way = -way
    return outlines


def join(lines: list[np.ndarray]) -> np.ndarray:
    """One closed line around several parts and holes.

    Args:
        lines: [n, 2] corners of the outline of each.

    Returns:
        [m, 2] corners. From the corner that is nearest to the next line, it leads there, once around, and back.
    """
    joined, *others = lines
    for other in others:
        distances = np.square(joined[:, None] - other[None]).sum(axis=-1)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        around = np.roll(other, -there, axis=0)
        joined = np.concatenate([joined[: here + 1], around, around[:1], joined[here:]])
    return joined
