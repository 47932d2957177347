"""From an annotated picture to a training sample: augment, cut out the masks, resize.

Masks are cut out before the resize, from the pixels that were annotated, and boxes are scaled as numbers. So the resize
touches the picture only, and there is no mask that could be half a pixel beside it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import albumentations
import cv2
import numpy as np

from maskrcnn.data.columns import Columns, flip, read_columns
from maskrcnn.data.copy_paste import CopyPaste
from maskrcnn.data.records import Record
from maskrcnn.data.regions import find_columns, paint_regions
from maskrcnn.data.resize import Sizing
from maskrcnn.data.scene import Scene, cut_out, make_scene, resize_scene

Draw = Callable[[np.random.Generator], tuple[np.ndarray, Record]]

# What does nothing to masks but turn them over, without reading their size. Not what is derived of them, as Lambda is.
FLIPPING = (albumentations.NoOp, albumentations.HorizontalFlip, albumentations.VerticalFlip)
CORNERS = np.array([[1, 2], [3, 4]], np.uint8)  # shows how a picture was turned over


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and its objects, ready to be put into a batch."""

    image: np.ndarray  # [h, w, C] uint8, RGB if C is 3
    boxes: np.ndarray  # [n, 4] float32: x1, y1, x2, y2 in continuous pixels of `image`
    labels: np.ndarray  # [n] int64
    masks: np.ndarray  # [n, R, C] uint8 coverage 0..255, R and C up to MASK_CROP; cells in use fill the top left corner
    mask_sizes: np.ndarray  # [n, 2] int64: rows and columns in use, stretched over the box
    original_size: tuple[int, int]  # height and width of the picture as it was read
    index: int  # position in the data set
    key: int  # 0..2**32-1, a hash of (seed, epoch, index, repeat)


class Augmentation:
    """What happens to training pictures only.

    Args:
        transforms: of albumentations, in this order; none leaves everything as it is.
        paste: lays objects of another picture over the one that it gets; None for no pasting.
        min_visible: an object is dropped if less than this share of its pixels is left after the crop of the resize and
            after pasting, from 0 to 1. At 0, as in the paper on copy-paste and in Detectron2, any pixel will do. (What
            `transforms` cut off does not count: they scale too, so the share is not known.)
    """

    def __init__(
        self, transforms: list[albumentations.BasicTransform], paste: CopyPaste | None, min_visible: float
    ) -> None:
        if not 0 <= min_visible <= 1:
            raise ValueError(f"data.min_visible is {min_visible}; give a share of an object's pixels, from 0 to 1")
        _check_masks_stay_exact(transforms)
        self.paste = paste
        self.min_visible = min_visible
        # Neither seed= nor set_random_seed(): both give every transform the same stream, so that, say, horizontal and
        # vertical flips always come together (albumentations 2.0.8, issue 2473).
        self.compose = albumentations.Compose(transforms, is_check_shapes=False) if transforms else None
        self.flips_only = _only_flip(transforms)

    def __call__(self, image: np.ndarray, masks: Columns, rng: np.random.Generator) -> tuple[np.ndarray, Columns]:
        """Augments a picture [h, w, C] uint8 and its masks with the randomness of `rng` alone.

        Raises:
            ValueError: a transform cannot take the picture, or it is no longer [h, w, C] uint8.
        """
        if self.compose is None:
            return image, masks
        regions = None if self.flips_only else paint_regions(masks)
        self.compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        channels = image.shape[2]
        try:
            result = self.compose(image=image, mask=CORNERS if regions is None else regions.image)
        except Exception as error:  # transforms have exceptions of their own
            remedy = "change or remove the transform that says so"
            if channels != 3:
                remedy = "remove what needs colours, or use augmentation=flip"
            raise ValueError(
                f"data.transforms cannot change a picture of {image.shape[0]} x {image.shape[1]} pixels and "
                f"data.channels={channels} ({type(error).__name__}: {' '.join(str(error).split())}): {remedy}"
            ) from error
        image = result["image"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != channels:
            raise ValueError(
                f"data.transforms turned a picture into {image.dtype} of shape {tuple(image.shape)}; it must stay "
                f"[h, w, {channels}] uint8: remove what normalises or converts, the model does that"
            )
        moved = result["mask"]
        if regions is not None:
            return image, find_columns(regions._replace(image=moved))
        return image, flip(masks, horizontally=moved[0, 0] in (2, 4), vertically=moved[0, 0] > 2)


def _only_flip(transforms: list[albumentations.BasicTransform]) -> bool:
    """Whether transforms, also within OneOf and the like, do nothing to masks but turn them over."""
    for transform in transforms:
        if hasattr(transform, "transforms"):
            # A Compose within another compares the sizes of picture and mask.
            if isinstance(transform, albumentations.Compose) or not _only_flip(transform.transforms):
                return False
        elif type(transform) not in FLIPPING and not isinstance(transform, albumentations.ImageOnlyTransform):
            return False
    return True


def _check_masks_stay_exact(transforms: list[albumentations.BasicTransform]) -> None:
    """Refuses what would blend the ids of masks, also within OneOf and the like."""
    for transform in transforms:
        chosen = getattr(transform, "mask_interpolation", None)  # None for groups such as OneOf
        if chosen not in (None, cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT):
            raise ValueError(
                f"data.transforms: {type(transform).__name__} has mask_interpolation {chosen}, which blends masks with "
                f"their neighbours: leave it out, or give {cv2.INTER_NEAREST}"
            )
        _check_masks_stay_exact(getattr(transform, "transforms", []))


def sample_seed(seed: int, epoch: int, index: int, repeat: int = 0) -> np.random.SeedSequence:
    """The source of all randomness of one sample; `repeat` is how often its picture came before in the epoch."""
    # Without the number where it is 0: a seed of two words fills numpy's pool, and a zero more would then count.
    return np.random.SeedSequence([seed, epoch, index, repeat] if repeat else [seed, epoch, index])


def make_sample(
    image: np.ndarray,
    record: Record,
    index: int,
    seed: np.random.SeedSequence,
    resize: Sizing,
    augmentation: Augmentation | None,
    other: Draw | None = None,
) -> Sample:
    """Turns an annotated picture into a sample.

    Args:
        image: [h, w, C] uint8 of the record's size.
        record: its annotations.
        index: position in the data set.
        seed: of `sample_seed`; all randomness comes from it.
        resize: applied after the augmentation.
        augmentation: None for validation: nothing is random then.
        other: draws a picture of the data set to paste from; needed where the augmentation pastes.
    """
    rng = np.random.default_rng(seed)
    scenes = [_make_scene(image, record, resize, augmentation, rng)]
    if augmentation is not None and augmentation.paste is not None:
        assert other is not None
        beside = _make_scene(*other(rng), resize, augmentation, rng)
        scenes = list(augmentation.paste(scenes[0], beside, augmentation.min_visible, rng))
    parts = [cut_out(scene, 0.0 if augmentation is None else augmentation.min_visible) for scene in scenes]
    return Sample(
        boxes=np.concatenate([part.boxes for part in parts]).astype(np.float32),
        labels=np.concatenate([part.labels for part in parts]),
        masks=_join([part.masks for part in parts]),
        mask_sizes=np.concatenate([part.mask_sizes for part in parts]),
        original_size=(image.shape[0], image.shape[1]),
        index=index,
        key=int(seed.generate_state(1)[0]),
        image=resize_scene(scenes[0]).image,  # last: it leaves nothing else in the processor's cache
    )


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """Masks [n, R, C] uint8 of several sizes, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    rows, columns = np.max([part.shape[1:] for part in parts], axis=0)
    masks = np.zeros((sum(len(part) for part in parts), rows, columns), np.uint8)
    start = 0
    for part in parts:
        masks[start : start + len(part), : part.shape[1], : part.shape[2]] = part
        start += len(part)
    return masks


def _make_scene(
    image: np.ndarray, record: Record, resize: Sizing, augmentation: Augmentation | None, rng: np.random.Generator
) -> Scene:
    """Augments a picture and takes the view of it that the network gets."""
    masks = read_columns(record.objects.masks, image.shape[0], image.shape[1])
    if augmentation is not None:
        image, masks = augmentation(image, masks, rng)
    view = resize.view(image.shape[0], image.shape[1], None if augmentation is None else rng)
    return make_scene(image, masks, record.objects.labels, view)
