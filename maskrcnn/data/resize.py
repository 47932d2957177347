"""The size at which the network sees a picture."""

from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

STRIDE = 32  # of the coarsest feature map that is merged with a finer one; canvases are multiples of it
Pixels = TypeVar("Pixels", int, np.ndarray)


def canvas_side(length: Pixels) -> Pixels:
    """The side of the smallest canvas that holds so many pixels."""
    return -(-length // STRIDE) * STRIDE


class View(NamedTuple):
    """What the network sees of a picture, and how large."""

    window: tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the picture, the latter two exclusive
    size: tuple[int, int]  # height and width of the window for the network
    canvas: tuple[int, int]  # height and width that objects pasted beside the window may fill


class Sizing(Protocol):
    """Anything that chooses the view of a picture."""

    def view(self, height: int, width: int, rng: np.random.Generator | None) -> View:
        """The view of a picture of a given height and width: drawn from `rng`; without one, that of validation."""

    def largest(self, height: int, width: int) -> tuple[int, int]:
        """The most height and width of what training sees of a picture of a given height and width."""


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
            raise ValueError(f"data.resize.shortest is {shortest}, longest {longest}; give lengths from 1 to longest")
        self.shortest = shortest
        self.longest = longest

    def scale(self, height: int, width: int, shortest: int) -> float:
        """By how much a picture of a given height and width grows."""
        return min(shortest / min(height, width), self.longest / max(height, width))

    def size(self, height: int, width: int, shortest: int) -> tuple[int, int]:
        """Height and width that a picture of a given height and width gets."""
        scale = self.scale(height, width, shortest)
        return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)

    def view(self, height: int, width: int, rng: np.random.Generator | None) -> View:
        """The whole picture."""
        shortest = self.shortest[-1 if rng is None else rng.integers(len(self.shortest))]
        size = self.size(height, width, shortest)
        return View((0, 0, width, height), size, size)

    def largest(self, height: int, width: int) -> tuple[int, int]:
        """Its size at the greatest of the lengths."""
        return self.size(height, width, max(self.shortest))


def resize_picture(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a picture [h, w, C] uint8 to a height and width; a pixel keeps its place in continuous coordinates."""
    if size == image.shape[:2]:
        return image
    interpolation = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_LINEAR
    # OpenCV 5 takes at most four channels for most scales of INTER_AREA, and drops the axis of a single one.
    parts = [image[..., start : start + 4] for start in range(0, image.shape[2], 4)]
    resized = [cv2.resize(part, size[::-1], interpolation=interpolation).reshape(*size, -1) for part in parts]
    return resized[0] if len(resized) == 1 else np.concatenate(resized, axis=2)


def prepare_picture(image: np.ndarray, resize: Sizing) -> np.ndarray:
    """A bare picture at the network's size, as in validation: [h, w, C] uint8.

    Args:
        image: [h, w, C] uint8, such as `PictureReader` returns.
        resize: of the configuration that the model was trained with.
    """
    height, width = image.shape[:2]
    return resize_picture(image, resize.view(height, width, None).size)
