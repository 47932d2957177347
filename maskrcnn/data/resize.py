"""The size at which the network sees a picture."""

from typing import NamedTuple

import cv2
import numpy as np


class Resized(NamedTuple):
    """A picture at the network's size."""

    image: np.ndarray  # [h, w, 3] uint8
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
        """Resizes a picture [h, w, 3] uint8; a pixel keeps its place in continuous coordinates."""
        height, width = image.shape[:2]
        size = self.size(height, width, shortest)
        if size == (height, width):
            return image
        shrinks = size[0] < height
        return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def prepare_picture(image: np.ndarray, resize: Resize) -> Resized:
    """Prepares a bare picture as validation does.

    Args:
        image: [h, w, 3] uint8 RGB, such as `read_picture` returns.
        resize: of the configuration that the model was trained with.
    """
    return Resized(resize(image, resize.shortest[-1]), (image.shape[0], image.shape[1]))
