"""The size at which the network sees a picture."""

from typing import NamedTuple

import cv2
import numpy as np


class Resized(NamedTuple):
    """A picture at the network's size."""

    image: np.ndarray  # [h, w, C] uint8
    original_size: tuple[int, int]  # height and width before


class Resize:
    """Brings the shorter side to a length, unless that makes the longer side too long; keeps the aspect ratio.

    As `ResizeShortestEdge` of Detectron2.

    Args:
        shortest: lengths of the shorter side in pixels. Training draws one of them for each sample; validation and
            prediction take the last.
        longest: the most that the longer side may be, in pixels.
    """

    def __init__(self, *, shortest: list[int], longest: int) -> None:
        if not shortest or min(shortest) < 1 or longest < max(shortest):
            raise ValueError(f"resize.shortest is {shortest} and longest {longest}; give lengths from 1 to longest")
        self.shortest = shortest
        self.longest = longest

    def size(self, height: int, width: int, shortest: int) -> tuple[int, int]:
        """Height and width that a picture of a given height and width gets."""
        scale = min(shortest / min(height, width), self.longest / max(height, width))
        return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)

    def __call__(self, image: np.ndarray, shortest: int) -> np.ndarray:
        """Resizes a picture [h, w, C] uint8; a pixel keeps its place in continuous coordinates."""
        height, width = image.shape[:2]
        size = self.size(height, width, shortest)
        if size == (height, width):
            return image
        interpolation = cv2.INTER_AREA if size[0] < height else cv2.INTER_LINEAR
        # OpenCV 5 takes at most four channels for most scales of INTER_AREA, and drops the axis of a single one.
        parts = [image[..., start : start + 4] for start in range(0, image.shape[2], 4)]
        resized = [cv2.resize(part, size[::-1], interpolation=interpolation).reshape(*size, -1) for part in parts]
        return resized[0] if len(resized) == 1 else np.concatenate(resized, axis=2)


def prepare_picture(image: np.ndarray, resize: Resize) -> Resized:
    """Prepares a bare picture as validation does.

    Args:
        image: [h, w, C] uint8, such as `PictureReader` returns.
        resize: of the configuration that the model was trained with.
    """
    return Resized(resize(image, resize.shortest[-1]), (image.shape[0], image.shape[1]))
