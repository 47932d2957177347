"""The same work for torchvision, where it is installed: its model, and our batch as it wants it."""

import importlib.util
from typing import Any

import torch
from torch import Tensor
from workload import CLASSES, OBJECTS, PROPOSALS, calibrate, make_batch

from maskrcnn.structures import Batch

KNOWN = importlib.util.find_spec("torchvision") is not None


def torchvision_model(height: int, width: int) -> Any:
    """Its Mask R-CNN with our numbers of proposals, which leaves pictures of this size as they are."""
    from torchvision.models import resnet50
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.models.detection.mask_rcnn import MaskRCNN
    from torchvision.ops.misc import FrozenBatchNorm2d

    torch.manual_seed(0)
    model = MaskRCNN(
        _resnet_fpn_extractor(resnet50(norm_layer=FrozenBatchNorm2d), 3), CLASSES + 1, min_size=height, max_size=width,
        rpn_pre_nms_top_n_train=2000, rpn_post_nms_top_n_train=PROPOSALS, rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=PROPOSALS,
    )  # fmt: skip
    picture = torchvision_pictures(make_batch(1, height, width))
    calibrate(model, lambda: model.backbone(model.transform(picture)[0].tensors))
    return model


def torchvision_pictures(batch: Batch) -> list[Tensor]:
    """Pictures [3, h, w] in 0..1 without the canvas."""
    return [(image[:, :h, :w] / 255).contiguous() for image, (h, w) in zip(batch.images, batch.image_sizes.tolist())]


def torchvision_targets(batch: Batch) -> list[dict[str, Tensor]]:
    """Objects with masks as large as the picture, on the batch's device."""
    targets = []
    for (h, w), boxes, labels in zip(batch.image_sizes.tolist(), batch.targets.boxes, batch.targets.labels):
        masks = torch.zeros(OBJECTS, h, w, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes[:OBJECTS].round().int().tolist()):
            mask[y1:y2, x1:x2] = 1
        targets.append({"boxes": boxes[:OBJECTS], "labels": labels[:OBJECTS] + 1, "masks": masks.to(boxes.device)})
    return targets
