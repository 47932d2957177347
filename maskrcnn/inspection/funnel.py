"""The recall funnel: which step of the network lost an object that was missed.

A box is an object's own if it overlaps this object by the IoU asked for, and no other that it could be meant for (none
at all before classes are told; none of its class afterwards) by more. The last step after which an object has a box of
its own has kept it, and the next one has lost it. So each missed object is lost exactly once.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from maskrcnn.evaluation.pairing import Pairing
from maskrcnn.evaluation.rle import Rle
from maskrcnn.inspection.buckets import NAMES
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.boxes import iou as box_iou

EVERYTHING = 2**31 - 1


class Nearest(NamedTuple):
    """A box beside a lost object."""

    box: list[float]  # x1, y1, x2, y2 in pixels of the canvas, or of the picture
    iou: float  # with the object
    score: float | None  # a probability; None of an anchor
    label: int | None  # its class, where it has one


class Lost(NamedTuple):
    """Where an object was lost, what it still had before, and what that lost against where the step was an NMS."""

    bucket: str
    nearest: Nearest | None  # None: there was no box at all
    rival: Nearest | None


class Missed(NamedTuple):
    """An object that was lost, in pixels of its picture."""

    box: list[float]  # x, y, width, height
    label: int
    area: float
    segmentation: Rle
    lost: Lost
    mask: Rle | None  # of the detection of its class whose mask overlaps it most, if any does
    mask_iou: float


class Layer(NamedTuple):
    """The boxes of a picture that are left after a step."""

    boxes: Tensor  # [N, 4]
    scores: Tensor | None  # [N] probabilities
    labels: Tensor | None  # [N] int64


# What a step leaves, by the bucket of objects that it loses; "score" stands for pairs of any class, see `trace`.
LAYERS = NAMES[: NAMES.index("mask")]


def find_missed(
    model: MaskRCNN, images: Tensor, image_sizes: Tensor, original_sizes: Tensor, pairings: list[Pairing], iou: float
) -> list[list[Missed]]:
    """The missed objects of a batch, each with where it was lost.

    Args:
        model: in evaluation mode.
        images: [B, C, H, W] 0..255; image_sizes: [B, 2] their content; original_sizes: [B, 2] the pictures as read.
        pairings: of the masks of each picture, at `iou`.
    """
    if not any(pairing.missed() for pairing in pairings):
        return [[] for _ in pairings]
    scales = (image_sizes / original_sizes).flip(1).repeat(1, 2).cpu()  # of x1, y1, x2, y2
    found = []
    for layers, pairing, scale in zip(trace(model, images, image_sizes), pairings, scales):
        held = [entry for entry, crowd in zip(pairing.objects, pairing.crowd) if not crowd]
        places = {id(entry): place for place, entry in enumerate(held)}
        corners = torch.tensor([entry["bbox"] for entry in held], dtype=torch.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        objects = (corners * scale).to(images.device)
        labels = torch.tensor([entry["category_id"] for entry in held], device=images.device)
        missed = []
        for i in pairing.missed():
            entry = pairing.objects[i]
            overlap = pairing.iou[:, i] * pairing.same[:, i]
            best = int(overlap.argmax()) if overlap.any() else None
            mask_iou = 0.0 if best is None else float(overlap[best])
            lost = locate(layers, objects, labels, places[id(entry)], iou, mask_iou >= iou)
            mask = None if best is None else pairing.detections[best]["segmentation"]
            missed.append(
                Missed(
                    entry["bbox"],
                    entry["category_id"],
                    entry["area"],
                    entry["segmentation"],
                    Lost(lost.bucket, _unscale(lost.nearest, scale), _unscale(lost.rival, scale)),
                    mask,
                    mask_iou,
                )
            )
        found.append(missed)
    return found


def _unscale(nearest: Nearest | None, scale: Tensor) -> Nearest | None:
    return nearest and nearest._replace(box=[round(edge, 2) for edge in (torch.tensor(nearest.box) / scale).tolist()])


def trace(model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> list[list[Layer]]:
    """Detects, without masks, by the very steps of `MaskRCNN.detect`, and keeps what each leaves.

    Args:
        model: in evaluation mode.
        images: [B, C, H, W] 0..255, any dtype; image_sizes: [B, 2] height and width of their content.

    Returns:
        Of each picture the layers of `LAYERS`; the last one holds its detections.
    """
    with torch.inference_mode():
        features = model.extract(model.normalise(images, image_sizes))
        output, table = model.score_anchors(features), model.pooler.table(features)
        everywhere = model.rpn.refine_best(output, image_sizes, EVERYTHING)
        anchors = model.rpn.refine(output, image_sizes, training=False)
        kept_anchors = model.rpn.suppress(anchors)
        proposals = model.rpn.propose(output, image_sizes, training=False)
        prediction, head = model.examine(table, proposals), model.box_head
        pairs = head.refine_best(prediction, proposals, image_sizes, -1, EVERYTHING)
        passing = head.refine_best(prediction, proposals, image_sizes, head.score_threshold, EVERYTHING)
        regions = head.refine(prediction, proposals, image_sizes)
        kept_regions = head.suppress(regions)
        detections = head.detect(prediction, proposals, image_sizes)
        layers = []
        for i in range(len(images)):
            layers.append(
                [
                    Layer(torch.cat(output.anchors), None, None),
                    _layer(everywhere.boxes[i], everywhere.valid[i], everywhere.scores[i].sigmoid()),
                    _layer(anchors.boxes[i], anchors.valid[i], anchors.scores[i].sigmoid()),
                    _layer(anchors.boxes[i], kept_anchors[i], anchors.scores[i].sigmoid()),
                    _layer(proposals.boxes[i], proposals.valid[i], proposals.scores[i].sigmoid()),
                    _layer(pairs.boxes[i], pairs.valid[i], pairs.scores[i], pairs.labels[i]),
                    # Twice: what scores enough for a class of any kind, and what does for the object's own.
                    _layer(passing.boxes[i], passing.valid[i], passing.scores[i], passing.labels[i]),
                    _layer(passing.boxes[i], passing.valid[i], passing.scores[i], passing.labels[i]),
                    _layer(regions.boxes[i], regions.valid[i], regions.scores[i], regions.labels[i]),
                    _layer(regions.boxes[i], kept_regions[i], regions.scores[i], regions.labels[i]),
                    _layer(detections.boxes[i], detections.valid[i], detections.scores[i], detections.labels[i]),
                ]
            )
    return layers


def _layer(boxes: Tensor, valid: Tensor, scores: Tensor, labels: Tensor | None = None) -> Layer:
    return Layer(boxes[valid], scores[valid], None if labels is None else labels[valid])


def locate(layers: list[Layer], objects: Tensor, labels: Tensor, position: int, iou: float, masked: bool) -> Lost:
    """Where a missed object was lost.

    Args:
        layers: of its picture.
        objects: [G, 4] boxes on the canvas of all its objects but crowd regions; labels: [G] int64 their classes.
        position: of the missed object.
        iou: that a box of its own needs.
        masked: whether the mask of a detection of its class overlaps it enough, but counts for another object.
    """
    step = len(LAYERS) - 1
    layer, own = _own(layers, step, objects, labels, position, iou)
    while step and not len(own):
        step -= 1
        layer, own = _own(layers, step, objects, labels, position, iou)
    overlap = box_iou(layer.boxes, objects[position])
    if not len(own):
        return Lost("anchors", _describe(layer, overlap, overlap.argmax()) if len(overlap) else None, None)
    rank = overlap if layer.scores is None else layer.scores
    nearest = _describe(layer, overlap, own[rank[own].argmax()])
    if step + 1 == len(LAYERS):
        return Lost("shared" if masked else "mask", nearest, None)
    bucket = LAYERS[step + 1]
    if bucket not in ("rpn_nms", "box_nms"):
        return Lost(bucket, nearest, None)
    left = _meant_for(layers[step + 1], labels[position])
    to_nearest = box_iou(left.boxes, left.boxes.new_tensor(nearest.box))
    if not to_nearest.any():  # it was not suppressed, but too small
        return Lost(bucket, nearest, None)
    return Lost(bucket, nearest, _describe(left, box_iou(left.boxes, objects[position]), to_nearest.argmax()))


def _own(
    layers: list[Layer], step: int, objects: Tensor, labels: Tensor, position: int, iou: float
) -> tuple[Layer, Tensor]:
    """The boxes of a layer that could be meant for an object, and which of them [n] int64 are its own."""
    layer, rivals = layers[step], torch.arange(len(objects), device=objects.device) != position
    if LAYERS[step] != "score":
        layer = _meant_for(layer, labels[position])
        rivals = rivals & (labels == labels[position]) if layer.labels is not None else rivals
    overlap = box_iou(layer.boxes, objects[position])
    own = (overlap >= iou).nonzero()[:, 0]
    if step and rivals.any():  # anchors are a grid: they are nobody's own
        others = box_iou(layer.boxes[own][:, None], objects[rivals][None])
        own = own[overlap[own] >= others.amax(dim=1)]
    return layer, own


def _meant_for(layer: Layer, label: Tensor) -> Layer:
    """Boxes of a class, or all where there are no classes yet."""
    if layer.labels is None:
        return layer
    chosen = layer.labels == label
    return Layer(layer.boxes[chosen], None if layer.scores is None else layer.scores[chosen], layer.labels[chosen])


def _describe(layer: Layer, overlap: Tensor, i: Tensor) -> Nearest:
    return Nearest(
        layer.boxes[i].tolist(),
        float(overlap[i]),
        None if layer.scores is None else float(layer.scores[i]),
        None if layer.labels is None else int(layer.labels[i]),
    )
