"""The only step from ragged to rectangular: samples of any size become a batch of fixed shape."""

import math

import cv2
import numpy as np
import torch
from torch.utils.data import get_worker_info

from maskrcnn.data.resize import STRIDE, canvas_side
from maskrcnn.data.transforms import Sample
from maskrcnn.structures import MASK_CROP, Batch, Targets


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
        images = _allocate(count, samples[0].image.shape[2], height, width)
        boxes = torch.zeros(count, slots, 4)
        labels = torch.zeros(count, slots, dtype=torch.int64)
        masks = _allocate(count, slots, MASK_CROP, MASK_CROP).zero_()
        mask_sizes = torch.zeros(count, slots, 2, dtype=torch.int64)
        valid = torch.zeros(count, slots, dtype=torch.bool)
        for i, sample in enumerate(samples):
            h, w = sample.image.shape[:2]
            images[i, :, h:] = 0
            images[i, :, :h, w:] = 0
            # Written in place; a third of the time that copying a permuted tensor takes.
            cv2.split(sample.image, list(images[i, :, :h, :w].numpy()))
            kept = _largest(sample.boxes, slots)
            boxes[i, : len(kept)] = torch.from_numpy(sample.boxes[kept])
            labels[i, : len(kept)] = torch.from_numpy(sample.labels[kept])
            _, rows, columns = sample.masks.shape
            masks[i, : len(kept), :rows, :columns] = torch.from_numpy(sample.masks[kept])
            mask_sizes[i, : len(kept)] = torch.from_numpy(sample.mask_sizes[kept])
            valid[i, : len(kept)] = True
        return Batch(
            images=images,
            image_sizes=torch.tensor([sample.image.shape[:2] for sample in samples]),
            original_sizes=torch.tensor([sample.original_size for sample in samples]),
            indices=torch.tensor([sample.index for sample in samples]),
            keys=torch.tensor([sample.key for sample in samples]),
            targets=Targets(boxes, labels, masks, mask_sizes, valid),
        )

    def _canvas(self, samples: list[Sample]) -> tuple[int, int]:
        height = max(sample.image.shape[0] for sample in samples)
        width = max(sample.image.shape[1] for sample in samples)
        if not self.canvases:
            return canvas_side(height), canvas_side(width)
        for canvas in self.canvases:
            if canvas[0] >= height and canvas[1] >= width:
                return canvas
        raise ValueError(
            f"no canvas holds a batch of pictures up to {height} pixels high and {width} wide: add one of that size to "
            f"data.canvases, which is {[list(canvas) for canvas in self.canvases]}, or lower data.resize"
        )


def _allocate(*shape: int) -> torch.Tensor:
    """Bytes that hold anything. A worker's lie where the trainer sees them, as torch would copy all others there."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    shared = torch.UntypedStorage._new_shared(math.prod(shape))  # as in torch's default_collate
    return torch.empty(0, dtype=torch.uint8).set_(shared).view(shape)


def _largest(boxes: np.ndarray, slots: int) -> np.ndarray:
    """Positions of the objects that fit into the slots: all, or the largest by area, in their own order."""
    if len(boxes) <= slots:
        return np.arange(len(boxes))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.sort(np.argsort(-areas, kind="stable")[:slots])
