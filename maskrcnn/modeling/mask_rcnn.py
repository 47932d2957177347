"""Mask R-CNN (arXiv 1703.06870): the two stages put together, as one static graph."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from maskrcnn.modeling.anchors import Anchors
from maskrcnn.modeling.box_head import BoxHead, BoxPrediction
from maskrcnn.modeling.convnext import ConvNeXt
from maskrcnn.modeling.fpn import FPN
from maskrcnn.modeling.mask_head import MaskHead
from maskrcnn.modeling.pooler import RoIPooler
from maskrcnn.modeling.resnet import ResNet
from maskrcnn.modeling.rpn import RPN, RPNOutput
from maskrcnn.modeling.sampler import RoISampler
from maskrcnn.modeling.wiring import check_anchors, check_backbone, check_maps, check_neck, wire
from maskrcnn.ops.boxes import UNIT_BOX, constant
from maskrcnn.ops.roi_align import FeatureTable
from maskrcnn.structures import Batch, BoxDetections, Detections, Losses, Proposals, Targets


class MaskRCNN(nn.Module):
    """The detector: `forward` gives the losses of a batch, `detect` the instances in pictures.

    Args:
        num_classes: K, without background; wired from the data.
        image_channels: C of the pictures; wired from the data.
        pixel_mean, pixel_std: of each channel (red, green and blue, if three) in 0..255.
        backbone: makes the network from images of C channels to C2..C5, with `channels` and `strides`.
        neck: makes the pyramid from (channels, strides) of the backbone, with `channels`, `strides`, `roi_strides`.
        anchors: makes the anchors from the neck's strides.
        rpn: makes the RPN from (channels, anchors per cell).
        sampler: makes the sampler of regions from K.
        pooler: makes the pooling of regions from the strides of the levels to pool from.
        box_head, mask_head: make the heads from (channels, K).

    Raises:
        ValueError: what backbone or neck say of their maps is not that of a pyramid, or a part takes other arguments.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        num_classes: int,
        image_channels: int,
        *,
        pixel_mean: list[float],
        pixel_std: list[float],
        backbone: Callable[[int], ResNet | ConvNeXt],
        neck: Callable[[tuple[int, ...], tuple[int, ...]], FPN],
        anchors: Callable[[tuple[int, ...]], Anchors],
        rpn: Callable[[int, int], RPN],
        sampler: Callable[[int], RoISampler],
        pooler: Callable[[tuple[int, ...]], RoIPooler],
        box_head: Callable[[int, int], BoxHead],
        mask_head: Callable[[int, int], MaskHead],
    ) -> None:
        super().__init__()
        assert len(pixel_mean) == len(pixel_std) == image_channels  # engine/rules.py tells the user
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), persistent=False)
        self.backbone = wire("backbone", backbone, image_channels)
        check_backbone(self.backbone)
        self.neck = wire("neck", neck, self.backbone.channels, self.backbone.strides)
        check_neck(self.neck)
        self.anchors = wire("anchors", anchors, self.neck.strides)
        self.rpn = wire("rpn", rpn, self.neck.channels, self.anchors.per_cell)
        self.sampler = wire("sampler", sampler, num_classes)
        self.pooler = wire("pooler", pooler, self.neck.roi_strides)
        self.box_head = wire("box_head", box_head, self.neck.channels, num_classes)
        self.mask_head = wire("mask_head", mask_head, self.neck.channels, num_classes)
        proposals = self.rpn.limits[False][1]
        if proposals < self.box_head.max_detections:
            warnings.warn(
                f"model.rpn.test_post_nms gives {proposals} regions a picture, fewer than the "
                f"{self.box_head.max_detections} of model.box_head.max_detections: raise it as well",
                stacklevel=2,
            )
        # Convolutions read channels last: a quarter off the small model's step on a CPU, and what tensor cores want.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: Batch) -> Losses:
        """The five losses of a batch with ground truth."""
        targets = self.prepare_targets(batch.targets)
        features = self.extract(self.normalise(batch.images, batch.image_sizes))
        output = self.score_anchors(features)
        rpn_objectness, rpn_box = self.rpn.loss(output, targets, batch.keys)
        proposals = self.rpn.propose(output, batch.image_sizes, training=True)
        samples = self.sampler(proposals, targets, batch.keys)
        table = self.pooler.table(features)
        boxes = self.box_head(self.pool(table, samples.boxes, self.box_head.pool_size))
        classification, box = self.box_head.loss(boxes, samples, targets)
        chosen = self.sampler.mask_samples(samples, batch.keys)
        pooled = self.pooler(table, chosen.images, chosen.boxes, self.mask_head.pool_size)
        masks = self.mask_head(pooled, chosen.labels)
        mask = self.mask_head.loss(masks, self.mask_head.targets(chosen, targets), chosen)
        return Losses(rpn_objectness, rpn_box, classification, box, mask)

    @torch.no_grad()
    def counts(self, batch: Batch) -> Tensor:
        """What `forward` would count for each loss, [5] float32: without the heads, on which no count depends."""
        targets = self.prepare_targets(batch.targets)
        features = self.extract(self.normalise(batch.images, batch.image_sizes))
        output = self.score_anchors(features)
        rpn_objectness, rpn_box = self.rpn.loss(output, targets, batch.keys)
        samples = self.sampler(self.rpn.propose(output, batch.image_sizes, training=True), targets, batch.keys)
        regions, masks = samples.valid.sum(), self.sampler.mask_samples(samples, batch.keys).valid.sum()
        return torch.stack([count.float() for count in (rpn_objectness.count, rpn_box.count, regions, regions, masks)])

    def detect(self, images: Tensor, image_sizes: Tensor) -> Detections:
        """The instances in pictures: images [B, C, H, W] 0..255, any dtype; image_sizes [B, 2] of their content."""
        features = self.extract(self.normalise(images, image_sizes))
        table = self.pooler.table(features)
        proposals = self.rpn.propose(self.score_anchors(features), image_sizes, training=False)
        return self.segment(table, self.classify(table, proposals, image_sizes))

    def normalise(self, images: Tensor, image_sizes: Tensor) -> Tensor:
        """Zero mean and unit variance on the content, 0 on the padding: [B, C, H, W] float."""
        pixels = (images.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std
        rows = torch.arange(images.shape[2], device=images.device) < image_sizes[:, :1]
        columns = torch.arange(images.shape[3], device=images.device) < image_sizes[:, 1:]
        return torch.where(rows[:, None, :, None] & columns[:, None, None, :], pixels, 0)

    def prepare_targets(self, targets: Targets) -> Targets:
        """Makes padding harmless once for all: unit boxes, label 0. Masks are integers, of which any are harmless."""
        unit = constant(UNIT_BOX, targets.boxes)
        return targets._replace(
            boxes=torch.where(targets.valid[..., None], targets.boxes, unit),
            labels=torch.where(targets.valid, targets.labels, 0),
        )

    def extract(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Backbone and neck: normalised pictures to the pyramid P2, P3, ...

        Raises:
            ValueError: one of them returns other maps than it says.
        """
        maps = self.backbone(pixels)
        check_maps("backbone", self.backbone, maps, pixels)
        levels: tuple[Tensor, ...] = self.neck(maps)
        check_maps("neck", self.neck, levels, pixels)
        return levels

    def score_anchors(self, features: tuple[Tensor, ...]) -> RPNOutput:
        """The RPN's scores and deltas of all anchors of the pyramid.

        Raises:
            ValueError: there are not as many anchors as they say.
        """
        anchors = self.anchors(features)
        check_anchors(self.anchors, anchors, self.anchors.per_cell, features)
        return self.rpn(features, anchors)

    def pool(self, table: FeatureTable, boxes: Tensor, size: int) -> Tensor:
        """Pools boxes [B, N, 4], each of its own picture: [B * N, C, size, size]."""
        images = torch.arange(boxes.shape[0], device=boxes.device)[:, None].expand(-1, boxes.shape[1])
        return self.pooler(table, images.flatten(), boxes.flatten(0, 1), size)

    def examine(self, table: FeatureTable, proposals: Proposals) -> BoxPrediction:
        """What the box head says of each proposal."""
        prediction: BoxPrediction = self.box_head(self.pool(table, proposals.boxes, self.box_head.pool_size))
        return prediction

    def classify(self, table: FeatureTable, proposals: Proposals, image_sizes: Tensor) -> BoxDetections:
        """Second stage without masks: proposals to detections."""
        return self.box_head.detect(self.examine(table, proposals), proposals, image_sizes)

    def segment(self, table: FeatureTable, boxes: BoxDetections) -> Detections:
        """Draws the mask of each detection."""
        pooled = self.pool(table, boxes.boxes, self.mask_head.pool_size)
        masks = self.mask_head(pooled, boxes.labels.flatten()).sigmoid().unflatten(0, boxes.valid.shape)
        return Detections(boxes.boxes, boxes.scores, boxes.labels, masks, boxes.valid)
