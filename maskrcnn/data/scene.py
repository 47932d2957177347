"""A picture at the network's size beside its masks at the size at which they were annotated."""

from typing import NamedTuple

import numpy as np

from maskrcnn.data.cells import crop_masks
from maskrcnn.data.columns import Columns, Extents, count_pixels, cut, find_extents
from maskrcnn.data.resize import View, resize_picture
from maskrcnn.structures import MASK_CROP


class Scene(NamedTuple):
    """A view of a picture and of its objects."""

    image: np.ndarray  # [h, w, C] uint8, as it was or at the network's size
    size: tuple[int, int]  # height and width of `image` for the network
    masks: Columns  # of the same view, in pixels that were annotated
    labels: np.ndarray  # [n] int64 of all objects, whether in view or not
    whole: Columns  # before anything was cut off or covered
    scale: tuple[float, float]  # x, y: the network's pixels for one of the masks
    canvas: tuple[int, int]  # height and width that `size` may grow to


class Objects(NamedTuple):
    """Objects as the network learns them."""

    boxes: np.ndarray  # [n, 4] float64: x1, y1, x2, y2 in the network's continuous pixels
    labels: np.ndarray  # [n] int64
    masks: np.ndarray  # [n, R, C] uint8 coverage 0..255, R and C up to MASK_CROP; cells in use fill the top left corner
    mask_sizes: np.ndarray  # [n, 2] int64: rows and columns in use, stretched over the box


def make_scene(image: np.ndarray, masks: Columns, labels: np.ndarray, view: View) -> Scene:
    """Cuts a picture and its masks to a view."""
    x1, y1, x2, y2 = view.window
    return Scene(
        image=image[y1:y2, x1:x2],
        size=view.size,
        masks=cut(masks, view.window),
        labels=labels,
        whole=masks,
        scale=(view.size[1] / (x2 - x1), view.size[0] / (y2 - y1)),
        canvas=view.canvas,
    )


def resize_scene(scene: Scene) -> Scene:
    """The scene with its picture at the network's size."""
    return scene._replace(image=resize_picture(scene.image, scene.size))


def find_visible(scene: Scene, min_visible: float) -> Extents:
    """The extents of the objects of which at least a pixel, and at least a share of all their pixels, is to be seen.

    Args:
        min_visible: the share, 0 to 1.
    """
    extents = find_extents(scene.masks)
    if min_visible == 0:
        return extents
    enough = count_pixels(scene.masks) >= min_visible * count_pixels(scene.whole)
    instances, corners = extents
    return Extents(instances[enough[instances]], corners[enough[instances]])


def cut_out(scene: Scene, min_visible: float) -> Objects:
    """The visible objects of a scene."""
    extents = find_visible(scene, min_visible)
    sizes = extents.corners[:, 2:] - extents.corners[:, :2]
    return Objects(
        boxes=extents.corners * np.array(scene.scale * 2),
        labels=scene.labels[extents.instances],
        masks=crop_masks(scene.masks, extents),
        mask_sizes=np.minimum(sizes[:, ::-1], MASK_CROP),
    )
