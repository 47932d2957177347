"""Feature maps and heat maps as pictures."""

import cv2
import numpy as np


def principal(features: np.ndarray) -> np.ndarray:
    """The direction [C] in which the cells of a map [C, h, w] differ most: its first principal component.

    Its sign is chosen so that the cells farthest from the mean, which are the rarer ones, are positive.
    """
    cells = features.reshape(len(features), -1).T.astype(np.float64)
    centred = cells - cells.mean(axis=0)
    if len(cells) >= len(features):
        direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    else:  # the same by the smaller matrix: coarse maps have 2,048 channels
        direction = centred.T @ np.linalg.eigh(centred @ centred.T)[1][:, -1]
        direction /= max(np.linalg.norm(direction), 1e-12)
    skew = ((centred @ direction) ** 3).sum()
    return direction if skew >= 0 else -direction


def spread(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Values with the 1st and 99th percentile of a reference at 0 and 1, and no more than that."""
    low, high = np.percentile(reference, [1, 99])
    return ((values - low) / max(high - low, 1e-12)).clip(0, 1)


def tinted(values: np.ndarray, colours: int) -> np.ndarray:
    """Values [h, w] in 0..1 as a picture [h, w, 3] u8 RGB, by one of OpenCV's colour maps."""
    return cv2.applyColorMap(np.round(values * 255).astype(np.uint8), colours)[:, :, ::-1].copy()
