"""Test-time augmentation: detections of several views of a picture, merged.

As in Mask R-CNN's and Detectron2's: boxes of all views are put together, those of one class that overlap are thinned by
greedy NMS, and the masks of the boxes that stay are predicted in each view and averaged.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from maskrcnn.data.resize import canvas_side, resize_picture
from maskrcnn.engine.detector import trim
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.boxes import clip_boxes
from maskrcnn.ops.nms import nms
from maskrcnn.structures import BoxDetections, Detections


class _View(NamedTuple):
    """How a batch looks in one way."""

    flipped: bool
    scale: Tensor  # [B, 4]: x, y, x, y in pixels of the view for one of the batch
    sizes: Tensor  # [B, 2] height and width of the content in the view

    def there(self, boxes: Tensor) -> Tensor:
        """Boxes [B, N, 4] of the batch in the view."""
        boxes = boxes * self.scale[:, None]
        return _mirror(boxes, self.sizes) if self.flipped else boxes

    def back(self, boxes: Tensor) -> Tensor:
        """Boxes [B, N, 4] of the view in the batch."""
        boxes = _mirror(boxes, self.sizes) if self.flipped else boxes
        return boxes / self.scale[:, None]


class Tta:
    """Detects in several views, if any are asked for; takes what `detect` takes.

    Args:
        flip: in each picture and its mirror image.
        scales: in the picture as the network sees it (1), and larger or smaller; larger ones cannot show more than is
            in it.

    Attributes:
        off: whether there is only the plain view.

    Raises:
        ValueError: there is no scale, or one that is not positive.
    """

    def __init__(self, *, flip: bool, scales: list[float]) -> None:
        if not scales or not all(0 < scale < math.inf for scale in scales):
            raise ValueError(f"tta.scales is {scales}; give one or more numbers above 0, such as [0.75, 1.0, 1.25]")
        self.flip, self.scales = flip, scales
        self.off = not flip and scales == [1.0]
        self.plain = RecordedDetect()

    def __call__(self, model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Detections:
        """Finds instances; without views to add, exactly what `RecordedDetect` finds.

        Args:
            model: in evaluation mode.
            images: [B, C, H, W] uint8; image_sizes: [B, 2] height and width of the content.
        """
        if self.off:
            return self.plain(model, images, image_sizes)
        with torch.inference_mode():
            views, tables, found = [], [], []
            for scale in self.scales:
                scaled, sizes = _scale(images, image_sizes, scale)
                for flipped in [False, True] if self.flip else [False]:
                    pixels = model.normalise(_flip(scaled, sizes) if flipped else scaled, sizes)
                    features = model.extract(pixels)
                    table = model.pooler.table(features)
                    proposals = model.rpn.propose(model.score_anchors(features), sizes, training=False)
                    boxes = model.classify(table, proposals, sizes)
                    view = _View(flipped, (sizes / image_sizes)[:, [1, 0, 1, 0]].to(boxes.boxes.dtype), sizes)
                    views.append(view)
                    tables.append(table)
                    found.append(boxes._replace(boxes=view.back(boxes.boxes)))
            merged = trim(_merge(model, found, image_sizes))
            masks = []
            for view, table in zip(views, tables):
                seen = model.segment(table, merged._replace(boxes=view.there(merged.boxes))).masks
                masks.append(seen.flip(-1) if view.flipped else seen)
            return Detections(merged.boxes, merged.scores, merged.labels, torch.stack(masks).mean(dim=0), merged.valid)


def _merge(model: MaskRCNN, found: list[BoxDetections], image_sizes: Tensor) -> BoxDetections:
    """The boxes of all views without those that overlap a better one of their class too much, best first."""
    boxes, scores, labels, valid = (torch.cat(fields, dim=1) for fields in zip(*found))
    scores, order = torch.where(valid, scores, -1).sort(dim=1, descending=True, stable=True)
    boxes = clip_boxes(boxes.gather(1, order[..., None].expand_as(boxes)), image_sizes)
    labels, valid = labels.gather(1, order), valid.gather(1, order)
    keep = nms(boxes, valid, model.box_head.nms_threshold, groups=labels)
    scores, order = torch.where(keep, scores, -1).topk(min(model.box_head.max_detections, scores.shape[1]), dim=1)
    kept = scores >= 0
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    unit = boxes.new_tensor([0.0, 0.0, 1.0, 1.0])
    return BoxDetections(
        boxes=torch.where(kept[..., None], boxes, unit),
        scores=torch.where(kept, scores, 0),
        labels=torch.where(kept, labels.gather(1, order), 0),
        valid=kept,
    )


def _scale(images: Tensor, image_sizes: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The pictures resized on a canvas for them, and their heights and widths there."""
    if scale == 1:
        return images, image_sizes
    sizes = (image_sizes * scale + 0.5).long().clamp(min=1)
    height, width = map(canvas_side, sizes.amax(dim=0).tolist())
    scaled = torch.zeros(*images.shape[:2], height, width, dtype=images.dtype)
    for target, image, (old_h, old_w), (h, w) in zip(scaled, images.cpu(), image_sizes.tolist(), sizes.tolist()):
        content = np.ascontiguousarray(image[:, :old_h, :old_w].permute(1, 2, 0).numpy())
        target[:, :h, :w] = torch.from_numpy(resize_picture(content, (h, w))).permute(2, 0, 1)
    return scaled.to(images.device), sizes


def _flip(images: Tensor, sizes: Tensor) -> Tensor:
    """The content of each picture mirrored in its place."""
    columns = torch.arange(images.shape[3], device=images.device)
    widths = sizes[:, 1:]
    mirrored = torch.where(columns < widths, widths - 1 - columns, columns)
    return images.gather(3, mirrored[:, None, None].expand_as(images))


def _mirror(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes [B, N, 4] in the mirror image of content of `sizes` [B, 2]."""
    x1, y1, x2, y2 = boxes.unbind(dim=-1)
    width = sizes[:, 1:].to(boxes.dtype)
    return torch.stack((width - x2, y1, width - x1, y2), dim=-1)
