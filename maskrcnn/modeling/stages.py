"""What every step of the network makes of pictures: what `MaskRCNN.detect` computes and does not hand out."""

from typing import NamedTuple

import torch
from torch import Tensor

from maskrcnn.modeling.box_head import BoxPrediction, RefinedRegions
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.rpn import RefinedAnchors, RPNOutput
from maskrcnn.ops.roi_align import SamplingGrid
from maskrcnn.structures import Detections, Proposals


class Stages(NamedTuple):
    """The tensors of each step, in the order of the steps; shape letters as in `maskrcnn.structures`."""

    images: Tensor  # [B, C, H, W] as they were given
    image_sizes: Tensor  # [B, 2] int64, height and width of their content
    pixels: Tensor  # [B, C, H, W] normalised, 0 on the padding
    backbone: tuple[Tensor, ...]  # C2, C3, ...: [B, C_l, H_l, W_l]
    pyramid: tuple[Tensor, ...]  # P2, P3, ...: [B, C, H_l, W_l]
    rpn: RPNOutput  # objectness and deltas of all anchors
    refined_anchors: RefinedAnchors  # the best of each level
    anchors_kept: Tensor  # [B, L, N] bool, which of them outlive NMS
    proposal_slots: Tensor  # [B, P] int64, the slot of `refined_anchors`, over all levels, that each proposal is
    proposals: Proposals
    region_levels: Tensor  # [B, P] int64, index in `pyramid` of the level that each proposal is pooled from
    region_grid: SamplingGrid  # of B * P regions: where they are read
    region_features: Tensor  # [B, P, C, S, S]
    prediction: BoxPrediction  # class logits and deltas of B * P regions
    refined_regions: RefinedRegions  # the best pairs of a proposal and a class
    regions_kept: Tensor  # [B, N] bool, which of them outlive NMS
    detection_slots: Tensor  # [B, D] int64, the slot of `refined_regions` that each detection is
    detections: Detections  # the same bits as those of `MaskRCNN.detect`


@torch.no_grad()
def stages(model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Stages:
    """Detects as `MaskRCNN.detect` does, by the same modules, and keeps what lies between.

    Args:
        model: in evaluation mode.
        images: [B, C, H, W] 0..255, any dtype; image_sizes: [B, 2] height and width of their content.
    """
    pixels = model.normalise(images, image_sizes)
    backbone = model.backbone(pixels)
    pyramid = model.neck(backbone)
    output = model.score_anchors(pyramid)
    anchors = model.rpn.refine(output, image_sizes, training=False)
    proposal_slots, _ = model.rpn.select(anchors, training=False)
    proposals = model.rpn.propose(output, image_sizes, training=False)
    table, size = model.pooler.table(pyramid), model.box_head.pool_size
    pooled = model.pool(table, proposals.boxes, size)
    prediction = model.box_head(pooled)
    regions = model.box_head.refine(prediction, proposals, image_sizes)
    detection_slots, _ = model.box_head.select(regions)
    boxes = model.box_head.detect(prediction, proposals, image_sizes)
    return Stages(
        images=images,
        image_sizes=image_sizes,
        pixels=pixels,
        backbone=backbone,
        pyramid=pyramid,
        rpn=output,
        refined_anchors=anchors,
        anchors_kept=model.rpn.suppress(anchors),
        proposal_slots=proposal_slots,
        proposals=proposals,
        region_levels=model.pooler.levels(proposals.boxes),
        region_grid=model.pooler.grid(proposals.boxes.flatten(0, 1), size),
        region_features=pooled.unflatten(0, proposals.valid.shape),
        prediction=prediction,
        refined_regions=regions,
        regions_kept=model.box_head.suppress(regions),
        detection_slots=detection_slots,
        detections=model.segment(table, boxes),
    )
