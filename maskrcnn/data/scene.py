"""A picture at the network's size beside its masks at the size at which they were annotated."""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.data.layers import Extent, Layers, count_pixels, find_extents
from maskrcnn.data.resize import View, resize_picture
from maskrcnn.structures import MASK_CROP


class Scene(NamedTuple):
    """A view of a picture and of its objects."""

    image: np.ndarray  # [h, w, C] uint8 at the network's size
    layers: Layers  # of the same view, in pixels that were annotated
    labels: np.ndarray  # [n] int64 of all objects, whether in view or not
    whole: Layers  # before anything was cut off or covered
    scale: tuple[float, float]  # x, y: pixels of `image` for one of the layers
    canvas: tuple[int, int]  # height and width that `image` may grow to


class Objects(NamedTuple):
    """Objects as the network learns them."""

    boxes: np.ndarray  # [n, 4] float64: x1, y1, x2, y2 in continuous pixels of the scene's picture
    labels: np.ndarray  # [n] int64
    masks: np.ndarray  # [n, MASK_CROP, MASK_CROP] uint8 coverage 0..255 in the frame of the box


def make_scene(image: np.ndarray, layers: Layers, labels: np.ndarray, view: View) -> Scene:
    """Cuts a picture and its masks to a view, and resizes the picture."""
    x1, y1, x2, y2 = view.window
    return Scene(
        image=resize_picture(image[y1:y2, x1:x2], view.size),
        layers=Layers([layer[y1:y2, x1:x2] for layer in layers.images], layers.places),
        labels=labels,
        whole=layers,
        scale=(view.size[1] / (x2 - x1), view.size[0] / (y2 - y1)),
        canvas=view.canvas,
    )


def visible(scene: Scene, min_visible: float) -> list[Extent]:
    """The extents of the objects of which at least a pixel, and at least a share of all their pixels, is to be seen."""
    extents = find_extents(scene.layers)
    if min_visible == 0:
        return extents
    enough = count_pixels(scene.layers) >= min_visible * count_pixels(scene.whole)
    return [extent for extent in extents if enough[extent.instance]]


def cut_out(scene: Scene, min_visible: float) -> Objects:
    """The visible objects of a scene."""
    extents = visible(scene, min_visible)
    masks = np.empty((len(extents), MASK_CROP, MASK_CROP), np.uint8)
    for extent, mask in zip(extents, masks):
        crop_mask(scene.layers, extent, mask)
    return Objects(
        boxes=np.array([extent[3:] for extent in extents]).reshape(-1, 4) * np.array(scene.scale * 2),
        labels=scene.labels[[extent.instance for extent in extents]],
        masks=masks,
    )


def crop_mask(layers: Layers, extent: Extent, out: np.ndarray | None = None) -> np.ndarray:
    """Cuts a mask to its extent, and resizes it to MASK_CROP x MASK_CROP uint8, 0..255 of coverage: `out`, if given."""
    window = layers.images[extent.layer][extent.y1 : extent.y2, extent.x1 : extent.x2]
    crop = cv2.inRange(window, extent.id, extent.id)
    # Means over the pixels along a side that shrinks; linear interpolation along one that grows.
    shrunk = (min(crop.shape[1], MASK_CROP), min(crop.shape[0], MASK_CROP))
    if shrunk != crop.shape[::-1]:
        crop = cv2.resize(crop, shrunk, interpolation=cv2.INTER_AREA)
    return cv2.resize(crop, (MASK_CROP, MASK_CROP), dst=out, interpolation=cv2.INTER_LINEAR)
