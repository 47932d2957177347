"""From an annotated picture to a training sample: augment, cut out the masks, resize.

Masks are cut out before the resize, from the pixels that were annotated, and boxes are scaled as numbers. So the resize
touches the picture only, and there is no mask that could be half a pixel beside it.
"""

import random
from dataclasses import dataclass

import albumentations
import cv2
import numpy as np

from maskrcnn.data.layers import Extent, Layers, find_extents, stack_masks
from maskrcnn.data.records import Record
from maskrcnn.data.resize import Resize
from maskrcnn.structures import MASK_CROP


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and its objects, ready to be put into a batch."""

    image: np.ndarray  # [h, w, C] uint8, RGB if C is 3
    boxes: np.ndarray  # [n, 4] float32: x1, y1, x2, y2 in continuous pixels of `image`
    labels: np.ndarray  # [n] int64
    masks: np.ndarray  # [n, MASK_CROP, MASK_CROP] uint8 coverage 0..255 in the frame of the box
    original_size: tuple[int, int]  # height and width of the picture as it was read
    index: int  # position in the data set
    key: int  # 0..2**32-1, a hash of (seed, epoch, index, repeat)
    vanished: int  # objects that the augmentation moved out of the picture


class Augmentation:
    """Applies albumentations to a picture and its masks.

    Args:
        transforms: of albumentations, in this order; none leaves everything as it is.
    """

    def __init__(self, transforms: list[albumentations.BasicTransform]) -> None:
        # Neither seed= nor set_random_seed(): both give every transform the same stream, so that, say, horizontal and
        # vertical flips always come together (albumentations 2.0.8, issue 2473).
        self.compose = albumentations.Compose(transforms) if transforms else None

    def __call__(self, image: np.ndarray, layers: Layers, rng: np.random.Generator) -> tuple[np.ndarray, Layers]:
        """Augments a picture [h, w, C] uint8 and its layers of masks with the randomness of `rng` alone.

        Raises:
            ValueError: a transform cannot take the picture, or it is no longer [h, w, C] uint8.
        """
        if self.compose is None:
            return image, layers
        self.compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        channels = image.shape[2]
        try:
            result = self.compose(image=image, masks=layers.images)
        except (TypeError, ValueError, NotImplementedError, cv2.error) as error:
            if channels == 3:
                raise
            raise ValueError(
                f"data.transforms cannot change a picture of data.channels={channels} ({str(error).strip()}): remove "
                "what needs colours, or use augmentation=flip"
            ) from error
        image = result["image"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != channels:
            raise ValueError(
                f"data.transforms turned a picture into {image.dtype} of shape {tuple(image.shape)}; it must stay "
                f"[h, w, {channels}] uint8: remove what normalises or converts, the model does that"
            )
        return image, Layers(result["masks"], layers.places)


def sample_seed(seed: int, epoch: int, index: int, repeat: int = 0) -> np.random.SeedSequence:
    """The source of all randomness of one sample; `repeat` is how often its picture came before in the epoch."""
    # Without the number where it is 0: a seed of two words fills numpy's pool, and a zero more would then count.
    return np.random.SeedSequence([seed, epoch, index, repeat] if repeat else [seed, epoch, index])


def make_sample(
    image: np.ndarray,
    record: Record,
    index: int,
    seed: np.random.SeedSequence,
    resize: Resize,
    augmentation: Augmentation | None,
) -> Sample:
    """Turns an annotated picture into a sample.

    Args:
        image: [h, w, C] uint8 of the record's size.
        record: its annotations.
        index: position in the data set.
        seed: of `sample_seed`.
        resize: applied after the augmentation.
        augmentation: None for validation: nothing is random then, and the size is the last of `resize`.
    """
    height, width = image.shape[:2]
    layers = stack_masks(record.objects.masks, height, width)
    shortest = resize.shortest[-1]
    if augmentation is not None:
        rng = np.random.default_rng(seed)
        shortest = resize.shortest[rng.integers(len(resize.shortest))]
        image, layers = augmentation(image, layers, rng)
    extents = find_extents(layers)
    resized = resize(image, shortest)
    scale = np.array([resized.shape[1] / image.shape[1], resized.shape[0] / image.shape[0]] * 2)
    masks = [crop_mask(layers, extent) for extent in extents]
    return Sample(
        image=resized,
        boxes=(np.array([extent[3:] for extent in extents]).reshape(-1, 4) * scale).astype(np.float32),
        labels=record.objects.labels[[extent.instance for extent in extents]],
        masks=np.stack(masks) if masks else np.zeros((0, MASK_CROP, MASK_CROP), np.uint8),
        original_size=(height, width),
        index=index,
        key=int(seed.generate_state(1)[0]),
        vanished=len(layers.places) - len(extents),
    )


def crop_mask(layers: Layers, extent: Extent) -> np.ndarray:
    """Cuts a mask to its extent and resizes it to MASK_CROP x MASK_CROP uint8, 0..255 of coverage."""
    window = layers.images[extent.layer][extent.y1 : extent.y2, extent.x1 : extent.x2]
    crop = (window == extent.id).view(np.uint8) * np.uint8(255)
    # Means over the pixels along a side that shrinks; linear interpolation along one that grows.
    shrunk = (min(crop.shape[1], MASK_CROP), min(crop.shape[0], MASK_CROP))
    if shrunk != crop.shape[::-1]:
        crop = cv2.resize(crop, shrunk, interpolation=cv2.INTER_AREA)
    return cv2.resize(crop, (MASK_CROP, MASK_CROP), interpolation=cv2.INTER_LINEAR)
