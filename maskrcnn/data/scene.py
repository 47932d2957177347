"""A picture at the network's size beside its masks at the size at which they were annotated."""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.data.regions import Extent, Regions, count_pixels, find_extents
from maskrcnn.data.resize import View, resize_picture
from maskrcnn.structures import MASK_CROP


class Scene(NamedTuple):
    """A view of a picture and of its objects."""

    image: np.ndarray  # [h, w, C] uint8 at the network's size
    regions: Regions  # of the same view, in pixels that were annotated
    labels: np.ndarray  # [n] int64 of all objects, whether in view or not
    whole: Regions  # before anything was cut off or covered
    scale: tuple[float, float]  # x, y: pixels of `image` for one of the regions
    canvas: tuple[int, int]  # height and width that `image` may grow to


class Objects(NamedTuple):
    """Objects as the network learns them."""

    boxes: np.ndarray  # [n, 4] float64: x1, y1, x2, y2 in continuous pixels of the scene's picture
    labels: np.ndarray  # [n] int64
    masks: np.ndarray  # [n, MASK_CROP, MASK_CROP] uint8 coverage 0..255; the cells in use fill the top left corner
    mask_sizes: np.ndarray  # [n, 2] int64: rows and columns in use, stretched over the box


def make_scene(image: np.ndarray, regions: Regions, labels: np.ndarray, view: View) -> Scene:
    """Cuts a picture and its masks to a view, and resizes the picture."""
    x1, y1, x2, y2 = view.window
    return Scene(
        image=resize_picture(image[y1:y2, x1:x2], view.size),
        regions=Regions(regions.image[y1:y2, x1:x2], regions.ids),
        labels=labels,
        whole=regions,
        scale=(view.size[1] / (x2 - x1), view.size[0] / (y2 - y1)),
        canvas=view.canvas,
    )


def visible(scene: Scene, min_visible: float) -> list[Extent]:
    """The extents of the objects of which at least a pixel, and at least a share of all their pixels, is to be seen."""
    extents = find_extents(scene.regions)
    if min_visible == 0:
        return extents
    enough = count_pixels(scene.regions) >= min_visible * count_pixels(scene.whole)
    return [extent for extent in extents if enough[extent.instance]]


def cut_out(scene: Scene, min_visible: float) -> Objects:
    """The visible objects of a scene."""
    extents = visible(scene, min_visible)
    corners = np.array([extent[1:] for extent in extents]).reshape(-1, 4)
    masks = np.zeros((len(extents), MASK_CROP, MASK_CROP), np.uint8)  # most of it is never touched
    for extent, mask in zip(extents, masks):
        crop_mask(scene.regions, extent, mask)
    return Objects(
        boxes=corners * np.array(scene.scale * 2),
        labels=scene.labels[[extent.instance for extent in extents]],
        masks=masks,
        mask_sizes=np.minimum(corners[:, 3:1:-1] - corners[:, 1::-1], MASK_CROP).astype(np.int64),
    )


def crop_mask(regions: Regions, extent: Extent, out: np.ndarray) -> None:
    """Writes the coverage, 0..255, of a mask within its extent into the top left corner of `out`.

    A cell is a pixel. A side longer than MASK_CROP pixels gets that many cells, of the means of the pixels.
    """
    instance, x1, y1, x2, y2 = extent
    window, ids = regions.image[y1:y2, x1:x2], regions.ids[instance]
    height, width = y2 - y1, x2 - x1
    if height <= MASK_CROP and width <= MASK_CROP:
        _cover(window, ids, out[:height, :width])
    else:
        size = (min(width, MASK_CROP), min(height, MASK_CROP))
        cv2.resize(_cover(window, ids, None), size, dst=out[: size[1], : size[0]], interpolation=cv2.INTER_AREA)


def _cover(window: np.ndarray, ids: list[int], out: np.ndarray | None) -> np.ndarray:
    """255 where a window's pixels have one of the ids, 0 elsewhere."""
    if len(ids) == 1:
        return cv2.inRange(window, ids[0], ids[0], dst=out)
    table = np.zeros(np.iinfo(window.dtype).max + 1, np.uint8)
    table[ids] = 255
    return cv2.LUT(window, table, dst=out)
