"""Simple copy-paste: objects of one picture laid over another."""

import math

import numpy as np

from maskrcnn.data.columns import Columns, cut, select
from maskrcnn.data.regions import find_columns, paint_regions
from maskrcnn.data.scene import Scene, find_visible, resize_scene

GROUND = 128  # grey where a pasted object reaches beyond the picture, as Detectron2's `FixedSizeCrop` pads


class CopyPaste:
    """Pastes a random subset of another picture's visible objects: any number of them is as likely as any other.

    Ghiasi et al. 2021, arXiv 2012.07177: both pictures are augmented and resized on their own, the objects keep their
    places on the canvas, covered objects lose the covered pixels. Edges are not blended, which the paper found to make
    no difference. Crowd regions are never pasted; those of the picture below stay unlabelled, also where covered.

    Args:
        most: the largest number of objects that are pasted; MMDetection's `max_num_pasted` is 100.
    """

    def __init__(self, *, most: int) -> None:
        if most < 1:
            raise ValueError(f"data.paste.most is {most}; give 1 or more, or switch pasting off with data.paste=null")
        self.most = most

    def __call__(self, scene: Scene, other: Scene, min_visible: float, rng: np.random.Generator) -> tuple[Scene, Scene]:
        """Pastes objects of `other`.

        The picture is put together at the network's size; the masks of either scene stay in their own pixels. A pixel
        below is covered if its centre is.

        Returns:
            `scene` with the objects in its picture and without what they cover in its masks. Its picture grows, up to
            its canvas, where an object lies beyond. And `other`, holding the pasted objects only.
        """
        other = _trim(resize_scene(other), scene.canvas)
        instances, corners = find_visible(other, min_visible)
        count = int(rng.integers(min(len(instances), self.most) + 1))
        chosen = np.sort(rng.choice(len(instances), count, replace=False))
        other = _select(other, instances[chosen])
        if count == 0:
            return scene, other
        scene = resize_scene(scene)
        mask = _union(other.masks)
        right, bottom = corners[chosen, 2:].max(axis=0).tolist()
        height = max(scene.image.shape[0], _reach(bottom, other.scale[1], scene.canvas[0]))
        width = max(scene.image.shape[1], _reach(right, other.scale[0], scene.canvas[1]))
        image = np.full((height, width, scene.image.shape[2]), GROUND, np.uint8)
        image[: scene.image.shape[0], : scene.image.shape[1]] = scene.image
        pasted = other.image[:height, :width]
        region = image[: pasted.shape[0], : pasted.shape[1]]
        covered = _read_at_centres(mask, pasted.shape, (1 / other.scale[0], 1 / other.scale[1]))
        region[covered] = pasted[covered]
        step = (scene.scale[0] / other.scale[0], scene.scale[1] / other.scale[1])
        below = paint_regions(scene.masks)
        below.image[_read_at_centres(mask, below.image.shape, step)] = 0
        return scene._replace(image=image, size=(height, width), masks=find_columns(below)), other


def _trim(scene: Scene, canvas: tuple[int, int]) -> Scene:
    """What of a resized scene lies on a canvas of a given height and width."""
    height, width = scene.size
    bottom = scene.masks.height if height <= canvas[0] else int(canvas[0] / scene.scale[1])
    right = scene.masks.width if width <= canvas[1] else int(canvas[1] / scene.scale[0])
    size = min(height, canvas[0]), min(width, canvas[1])
    masks = cut(scene.masks, (0, 0, right, bottom))
    return scene._replace(image=scene.image[: size[0], : size[1]], size=size, masks=masks)


def _select(scene: Scene, instances: np.ndarray) -> Scene:
    """A scene with some of its objects."""
    masks, whole = select(scene.masks, instances), select(scene.whole, instances)
    return scene._replace(masks=masks, labels=scene.labels[instances], whole=whole)


def _union(masks: Columns) -> np.ndarray:
    """The pixels [h, w] bool of all objects."""
    mask: np.ndarray = paint_regions(masks).image != 0
    return mask


def _reach(end: int, scale: float, limit: int) -> int:
    """Pixels of the network's picture up to an end in pixels of the masks."""
    return min(math.ceil(end * scale), limit)


def _read_at_centres(mask: np.ndarray, shape: tuple[int, ...], step: tuple[float, float]) -> np.ndarray:
    """Reads a mask [h, w] bool at the centres of a grid's pixels, False beyond it.

    Args:
        shape: height and width of the grid, which begins where the mask does.
        step: x, y: pixels of the mask from one pixel of the grid to the next.
    """
    rows = ((np.arange(shape[0]) + 0.5) * step[1]).astype(np.int64)
    columns = ((np.arange(shape[1]) + 0.5) * step[0]).astype(np.int64)
    rows, columns = rows[rows < mask.shape[0]], columns[columns < mask.shape[1]]
    values = np.zeros(shape[:2], bool)
    values[: len(rows), : len(columns)] = mask[rows][:, columns]
    return values
