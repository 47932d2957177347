"""The only step from ragged to rectangular: samples of any size become a batch of fixed shape."""

import math
import multiprocessing
from itertools import accumulate
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import get_worker_info

from maskrcnn.data.resize import STRIDE, canvas_side
from maskrcnn.data.transforms import Sample
from maskrcnn.structures import MASK_CROP, Batch, Targets

ALIGNMENT = 64  # bytes, as torch's own tensors have


class Collate:
    """Pads samples to a canvas and to a number of object slots.

    Few different shapes mean few compilations. Padding is zero.

    Args:
        canvases: heights and widths to choose from, multiples of 32; a batch gets the smallest that holds all of its
            pictures. None at all: the batch's largest height and width, rounded up to multiples of 32.
        object_slots: numbers of slots to choose from; a batch gets the smallest that holds the objects of all of its
            pictures. Of a picture with more objects than the largest number, the largest by area stay.

    Raises:
        ValueError: a size or number is not usable.
    """

    def __init__(self, canvases: list[tuple[int, int]], object_slots: list[int]) -> None:
        if any(side < 1 or side % STRIDE for canvas in canvases for side in canvas):
            raise ValueError(f"data.canvases is {canvases}; give heights and widths that are multiples of {STRIDE}")
        if not object_slots or min(object_slots) < 1:
            raise ValueError(f"data.object_slots is {object_slots}; give one or more numbers from 1 on")
        self.canvases = sorted(((height, width) for height, width in canvases), key=lambda size: size[0] * size[1])
        self.object_slots = sorted(object_slots)

    def __call__(self, samples: list[Sample]) -> Batch:
        """Makes a batch.

        Raises:
            ValueError: no canvas holds the pictures.
        """
        height, width = self._canvas(samples)
        most = max(len(sample.labels) for sample in samples)
        slots = next((number for number in self.object_slots if number >= most), self.object_slots[-1])
        count = len(samples)
        images, image_sizes, original_sizes, indices, keys, *fields = _allocate(
            (torch.uint8, count, samples[0].image.shape[2], height, width),
            (torch.int64, count, 2),
            (torch.int64, count, 2),
            (torch.int64, count),
            (torch.int64, count),
            (torch.float32, count, slots, 4),
            (torch.int64, count, slots),
            (torch.uint8, count, slots, MASK_CROP, MASK_CROP),
            (torch.int64, count, slots, 2),
            (torch.bool, count, slots),
        )
        boxes, labels, masks, mask_sizes, valid = targets = Targets(*(field.zero_() for field in fields))
        for i, sample in enumerate(samples):
            h, w = sample.image.shape[:2]
            images[i, :, h:] = 0
            images[i, :, :h, w:] = 0
            # Written in place; a third of the time that copying a permuted tensor takes.
            cv2.split(sample.image, list(images[i, :, :h, :w].numpy()))
            image_sizes[i] = torch.tensor([h, w])
            original_sizes[i] = torch.tensor(sample.original_size)
            indices[i], keys[i] = sample.index, sample.key
            kept = _largest(sample.boxes, slots)
            boxes[i, : len(kept)] = torch.from_numpy(sample.boxes[kept])
            labels[i, : len(kept)] = torch.from_numpy(sample.labels[kept])
            _, rows, columns = sample.masks.shape
            masks[i, : len(kept), :rows, :columns] = torch.from_numpy(sample.masks[kept])
            mask_sizes[i, : len(kept)] = torch.from_numpy(sample.mask_sizes[kept])
            valid[i, : len(kept)] = True
        return Batch(images, image_sizes, original_sizes, indices, keys, targets)

    def canvas(self, height: int, width: int) -> tuple[int, int] | None:
        """Height and width of the canvas for pictures up to a height and width; None where none holds them."""
        if not self.canvases:
            return canvas_side(height), canvas_side(width)
        return next((canvas for canvas in self.canvases if canvas[0] >= height and canvas[1] >= width), None)

    def _canvas(self, samples: list[Sample]) -> tuple[int, int]:
        height = max(sample.image.shape[0] for sample in samples)
        width = max(sample.image.shape[1] for sample in samples)
        canvas = self.canvas(height, width)
        if canvas is None:
            raise ValueError(
                f"no canvas holds a batch of pictures up to {height} pixels high and {width} wide: add one of that "
                f"size to data.canvases, which is {[list(canvas) for canvas in self.canvases]}, or lower data.resize"
            )
        return canvas


def _allocate(*fields: tuple[Any, ...]) -> list[torch.Tensor]:
    """Tensors of types and shapes that hold anything, in one piece of memory.

    A worker's lies where the trainer sees it: torch would copy all other memory there. Each piece is handed over by
    itself, through a connection to the worker; with ten a batch the thread that fetches them did little else while an
    H200 validated.
    """
    sizes = [dtype.itemsize * math.prod(shape) for dtype, *shape in fields]
    starts = list(accumulate((-(-size // ALIGNMENT) * ALIGNMENT for size in sizes), initial=0))
    memory = torch.empty(0, dtype=torch.uint8)
    if get_worker_info() is None:
        memory.resize_(starts[-1])
    else:
        memory.set_(_shared(starts[-1]))
    return [
        memory[start : start + size].view(dtype).view(shape)
        for start, size, (dtype, *shape) in zip(starts, sizes, fields)
    ]


def check_shared() -> None:
    """Makes sure that processes can share locks and memory, before they are started.

    Raises:
        ValueError: they cannot, as where /dev/shm is read-only.
    """
    try:
        multiprocessing.Lock()
    except OSError as error:
        raise ValueError(
            "processes that work for a run need shared memory, which is /dev/shm on Linux, and there is none to write "
            f"to ({error.strerror}): mount it so, or give data.workers=0, which callbacks.mean_ap.workers follows"
        ) from error


def _shared(size: int) -> torch.UntypedStorage:
    """Memory of a number of bytes that other processes see, as in torch's default_collate.

    Raises:
        ValueError: there is no room, as in a container of Docker, which has 64 MB unless more is asked for.
    """
    try:
        return torch.UntypedStorage._new_shared(size)
    except RuntimeError as error:
        if "shared memory" not in str(error):
            raise
        raise ValueError(
            "there is no room in shared memory, which is /dev/shm on Linux, for a batch of "
            f"{size / 2**20:.0f} MB that a data worker hands over; each worker keeps two of training and two of "
            "validation: give a container more (docker run --shm-size=8g, or --ipc=host), or fewer data.workers; "
            "data.workers=0 needs none"
        ) from error


def _largest(boxes: np.ndarray, slots: int) -> np.ndarray:
    """Positions of the objects that fit into the slots: all, or the largest by area, in their own order."""
    if len(boxes) <= slots:
        return np.arange(len(boxes))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.sort(np.argsort(-areas, kind="stable")[:slots])
