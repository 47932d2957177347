"""What a training sample teaches: which anchors answer for its objects, and what the mask head is to draw."""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.visualize.instances import Instances, own_colours, paint_instances
from maskrcnn.visualize.maps import tinted
from maskrcnn.visualize.panel import WIDTH, Panel, Row
from maskrcnn.visualize.scene import FOLLOWED, LEVELS, NEGATIVE, POSITIVE, centred
from maskrcnn.visualize.view import View, whole


class Lesson(NamedTuple):
    """One sample of a batch; A anchors of all levels."""

    name: str
    picture: np.ndarray  # [h, w, 3] u8, the content of the canvas
    instances: Instances  # its objects, with bitmaps of the canvas
    anchors: np.ndarray  # [A, 4] in pixels of the canvas
    levels: np.ndarray  # [A] int, index of the level of each
    positive: np.ndarray  # [A] bool
    reached: np.ndarray  # [A] bool, positive by the threshold, and not only as the best that an object has
    negative: np.ndarray  # [A] bool
    sample: np.ndarray  # [S] int, the anchors that were drawn
    positive_iou: float
    negative_iou: float
    masks: np.ndarray  # [n, M, M] what the mask head is to say of each object in its own box


def lesson_row(lesson: Lesson, classes: list[str]) -> Row:
    """The objects, the anchors that are to find them, the sample that is learnt from, and a mask as it is learnt.

    The largest object is framed throughout.
    """
    boxes = lesson.instances.boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    followed = int(sides.prod(axis=1).argmax()) if len(boxes) else None
    height, width = lesson.picture.shape[:2]
    view = whole(height, width, (WIDTH * 5 // 4, WIDTH))
    faded = view.fade(lesson.picture)
    objects = _objects(lesson, classes, view)
    if followed is not None:
        for drawing in (objects.drawing, faded):
            view.box(drawing, boxes[followed], FOLLOWED, 3)
    panels = [objects, _positive(lesson, view, faded.copy()), _sample(lesson, view, faded.copy())]
    if followed is not None:
        panels.append(_mask(lesson.masks[followed], min(view.size)))
    return Row(f"{lesson.name}: {len(boxes)} objects", "RPN.match, RPN.sample, MaskHead.targets", panels)


def _objects(lesson: Lesson, classes: list[str], view: View) -> Panel:
    drawing = view.show(lesson.picture, 1)
    assert lesson.instances.masks is not None
    bitmaps = (np.asarray(mask)[..., None].repeat(3, axis=2) for mask in lesson.instances.masks)
    scaled = lesson.instances._replace(
        boxes=lesson.instances.boxes * view.scale,
        masks=[view.show(bitmap.astype(np.uint8), 1)[..., 0] == 1 for bitmap in bitmaps],
    )
    paint_instances(drawing, scaled, classes, 1, own_colours(len(scaled.boxes)))
    return Panel("The objects", drawing, "As training sees them: augmented, and resized for the network.")


def _positive(lesson: Lesson, view: View, drawing: np.ndarray) -> Panel:
    for anchor in np.flatnonzero(lesson.positive):
        colour = LEVELS[lesson.levels[anchor] % len(LEVELS)]
        if lesson.reached[anchor]:
            view.box(drawing, lesson.anchors[anchor], colour, 1)
        else:
            view.dashed_box(drawing, lesson.anchors[anchor], colour, 1)
    total, count = len(lesson.anchors), int(lesson.positive.sum())
    best = count - int((lesson.positive & lesson.reached).sum())
    return Panel(
        "Positive anchors",
        drawing,
        f"{count} of {total:,} anchors are to find an object and to move onto it: their IoU with it is "
        f"{lesson.positive_iou:g} or more, or the best that it has with any (dashed, {best}).",
    )


def _sample(lesson: Lesson, view: View, drawing: np.ndarray) -> Panel:
    positive = lesson.positive[lesson.sample]
    for group, colour in ((lesson.sample[~positive], NEGATIVE), (lesson.sample[positive], POSITIVE)):
        for anchor in group:
            view.box(drawing, lesson.anchors[anchor], colour, 1)
    ignored = int((~lesson.positive & ~lesson.negative).sum())
    return Panel(
        "The sample",
        drawing,
        f"Learnt from are {positive.sum()} positive anchors (green) and, drawn by chance, {(~positive).sum()} negative "
        f"ones (grey): IoU below {lesson.negative_iou:g} with all objects. {ignored} are in between and ignored.",
    )


def _mask(mask: np.ndarray, side: int) -> Panel:
    return Panel(
        "A mask to learn",
        centred(tinted(mask, cv2.COLORMAP_INFERNO), side),
        f"What the mask head is to say of the framed object, if the region is its very box: {len(mask)} x {len(mask)} "
        "cells, black outside, yellow inside, between them where the outline runs.",
    )
