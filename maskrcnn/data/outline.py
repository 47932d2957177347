"""Masks as the polygons of COCO annotations."""

import cv2
import numpy as np


def outline_polygons(mask: np.ndarray) -> list[list[int]]:
    """The exact outlines of a mask's pixels, so that rasterising them (pycocotools) gives the same mask again.

    A polygon through the centres of the border pixels, which is what cv2.findContours returns, is half a pixel too
    small on every side: IoU 0.8 for an object of 12 pixels.

    Args:
        mask: [h, w] bool without holes.

    Returns:
        One polygon for each connected part, x1, y1, x2, y2, ... in continuous pixels (pixel c covers [c, c+1]).
    """
    # With every pixel as 2 x 2, the contour passes through one quarter of a pixel for each of its corners that lies on
    # the outline: quarters 2c and 2c + 1 belong to the corners c and c + 1.
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    window = mask.view(np.uint8)[y : y + height, x : x + width]
    doubled = window.repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [(_corners_only((contour[:, 0] + 1) // 2) + np.array([x, y])).ravel().tolist() for contour in contours]


def _corners_only(points: np.ndarray) -> np.ndarray:
    """Drops points [n, 2] of a closed rectilinear line that repeat the one before or lie on a straight stretch."""
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns: np.ndarray = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return points[turns]
