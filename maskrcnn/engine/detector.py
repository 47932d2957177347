"""Inference outside the static graph: masks are drawn only for as many slots as detections need."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import BoxDetections, Detections

Detect = Callable[[MaskRCNN, Tensor, Tensor], Detections]  # a model, pictures and their sizes, as `detect` takes them
# Mask slots an image; a batch takes the smallest that holds its fullest image. With the paper's head a mask costs
# about 1 GFLOP.
BUCKETS = (8, 32, 100, 200, 500)
Found = TypeVar("Found", BoxDetections, Detections)


def detect(model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Detections:
    """`MaskRCNN.detect` with empty trailing slots cut off before the mask head: the same instances, sooner.

    Args:
        model: in evaluation mode.
        images: [B, C, H, W]; image_sizes: [B, 2] height and width of the content.
    """
    with torch.inference_mode():
        features = model.extract(model.normalise(images, image_sizes))
        table = model.pooler.table(features)
        proposals = model.rpn.propose(model.score_anchors(features), image_sizes, training=False)
        return model.segment(table, trim(model.classify(table, proposals, image_sizes)))


def trim(boxes: Found) -> Found:
    """Without trailing slots that are empty in all images, down to one of BUCKETS."""
    fullest = int(boxes.valid.sum(dim=1).max().item())
    slots = next((bucket for bucket in BUCKETS if bucket >= fullest), boxes.valid.shape[1])
    return type(boxes)(*(field[:, :slots] for field in boxes))
