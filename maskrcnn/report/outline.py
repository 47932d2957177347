"""Masks as paths of SVG."""

import cv2
import numpy as np

from maskrcnn.data.outline import outline_polygons


def outline_path(mask: np.ndarray, coarseness: float) -> str:
    """The outlines of a mask as the `d` of a path, in pixels of its picture (pixel c covers c to c + 1).

    Args:
        mask: [h, w] bool; holes in it are not drawn.
        coarseness: how far the path may pass from the exact outline, in pixels.
    """
    polygons = [np.array(polygon, np.float32).reshape(-1, 2) for polygon in outline_polygons(mask)]
    simpler = [cv2.approxPolyDP(polygon, coarseness, True).reshape(-1, 2) for polygon in polygons]
    return "".join(f"M{' '.join(f'{x:g},{y:g}' for x, y in polygon)}Z" for polygon in simpler)
