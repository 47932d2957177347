"""Panels of detections and masks: which pixels are an object."""

import cv2
import numpy as np

from maskrcnn.ops.paste import paste_bitmap, paste_crop
from maskrcnn.visualize.instances import Instances, paint_instances
from maskrcnn.visualize.maps import tinted
from maskrcnn.visualize.panel import Panel, Row
from maskrcnn.visualize.scene import FOLLOWED, NEGATIVE, POSITIVE, Example, Scene, array, centred, zoom_size, zoomed


def masks_row(scene: Scene) -> Row:
    """Detections, the mask of one, how it lies in the picture, and the result."""
    panels = [_detections(scene)]
    if scene.example is not None:
        panels += [_mask(scene, scene.example), _pasted(scene, scene.example)]
    panels.append(_result(scene))
    return Row("Masks: which pixels?", "BoxHead.detect, MaskRCNN.segment, ops/paste.py", panels)


def _detections(scene: Scene) -> Panel:
    stages, drawing = scene.stages, scene.faded
    refined, detections = stages.refined_regions, stages.detections
    for box in array(refined.boxes)[refined.valid[0].cpu().numpy()]:
        scene.view.box(drawing, box, NEGATIVE, 1)
    found = scene.found()
    for box in array(detections.boxes)[found]:
        scene.view.box(drawing, box, POSITIVE, 2)
    if scene.example is not None:
        scene.view.box(drawing, scene.example.box, FOLLOWED, 3)
    same = len(set(scene.thresholds.tolist())) == 1
    enough = f"{scene.thresholds[0]:g} or more" if same else "enough for their class"
    return Panel(
        "Detections",
        drawing,
        f"Of {int(refined.valid.sum())} refined boxes (grey), {int(stages.regions_kept.sum())} outlive the "
        f"suppression within their class. {len(found)} of these score {enough} (green).",
    )


def _mask(scene: Scene, example: Example) -> Panel:
    mask = array(scene.stages.detections.masks)[example.detection]
    return Panel(
        "The mask, as it is predicted",
        centred(tinted(mask, cv2.COLORMAP_INFERNO), zoom_size(scene)[0]),
        f"The mask head reads the refined box and gives {len(mask)} x {len(mask)} probabilities that fill it: black "
        "0, bright yellow 1.",
    )


def _pasted(scene: Scene, example: Example) -> Panel:
    view = zoomed(scene, example)
    height, width = scene.picture.shape[:2]
    detections = scene.stages.detections
    bitmap = paste_bitmap(array(detections.masks)[example.detection], example.box, (height, width), scene.paste)
    grey = scene.picture.mean(axis=2, keepdims=True) / 2 + 118
    drawing = view.show(np.where(bitmap[..., None], scene.picture, grey).astype(np.uint8), 1)
    shown = view.show(bitmap[..., None].repeat(3, axis=2).astype(np.uint8), 1)[..., 0]
    outlines = cv2.findContours((shown == 1).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    cv2.drawContours(drawing, outlines, -1, FOLLOWED, 2)
    view.box(drawing, example.box, FOLLOWED, 3)
    return Panel(
        "... laid into the picture",
        drawing,
        "Interpolated at the centre of each pixel; where the probability is 0.5 or more, the pixel belongs to the "
        f"object: {bitmap.sum()} pixels here.",
    )


def _result(scene: Scene) -> Panel:
    drawing = scene.view.show(scene.picture, 1)
    detections, found = scene.stages.detections, scene.found()
    boxes, masks = array(detections.boxes)[found] * np.float32(scene.view.scale), array(detections.masks)[found]
    instances = Instances(
        boxes=boxes,
        labels=array(detections.labels)[found].astype(int),
        scores=array(detections.scores)[found],
        masks=[paste_crop(mask, box, drawing.shape[:2], scene.paste) for mask, box in zip(masks, boxes)],
    )
    followed = None if scene.example is None else scene.example.detection
    colours = [FOLLOWED if slot == followed else POSITIVE for slot in found]
    paint_instances(drawing, instances, scene.classes, 1, colours)
    text = (
        f"{len(found)} objects, each with a class, a score, a box and a mask." if len(found) else "Nothing was found."
    )
    return Panel("The result", drawing, text)
