"""Which proposals the second stage learns from (arXiv 1506.01497, section 3.2; arXiv 1703.06870, section 3.1)."""

import torch
from torch import Tensor, nn

from maskrcnn.ops.boxes import UNIT_BOX, constant
from maskrcnn.ops.matching import match_boxes
from maskrcnn.ops.sampling import gather_slots, hash_noise, subsample
from maskrcnn.structures import MaskSamples, Proposals, RoISamples, Targets

NOISE_STREAM = 2


class RoISampler(nn.Module):
    """Matches proposals to objects and draws a fixed number of each image, and the mask head's share of a batch.

    Args:
        num_classes: K, wired; K is the background's label.
        batch_per_image: regions drawn an image; positive_fraction: at most this share is foreground.
        positive_iou: IoU with an object from which on a region is foreground; below it is background.
        append_objects: put the objects' own boxes among the proposals, so that early training has foreground.
        mask_slots: regions of a whole batch that the mask head trains on. Padding costs as much as content there, so
            the budget is the batch's, not the image's; beyond it a random part of the foreground is used.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        batch_per_image: int,
        positive_fraction: float,
        positive_iou: float,
        append_objects: bool,
        mask_slots: int,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.batch_per_image, self.positive_fraction = batch_per_image, positive_fraction
        self.positive_iou, self.append_objects, self.mask_slots = positive_iou, append_objects, mask_slots

    @torch.no_grad()
    def forward(self, proposals: Proposals, targets: Targets, keys: Tensor) -> RoISamples:
        """Draws regions: `RoISamples` with min(batch_per_image, candidates) slots an image, foreground first."""
        boxes, valid = proposals.boxes, proposals.valid
        if self.append_objects:
            boxes = torch.cat((boxes, targets.boxes), dim=1)
            valid = torch.cat((valid, targets.valid), dim=1)
        matches = match_boxes(
            boxes, targets.boxes, targets.valid, low=self.positive_iou, high=self.positive_iou, low_quality=False
        )
        noise = hash_noise(keys, boxes.shape[1], NOISE_STREAM)
        sample = subsample(
            matches.positive & valid, matches.negative & valid, noise, self.batch_per_image, self.positive_fraction
        )
        index = matches.index.gather(1, sample.index)
        labels = torch.where(sample.positive, targets.labels.gather(1, index), self.num_classes)
        unit = constant(UNIT_BOX, boxes)
        chosen = torch.where(sample.valid[..., None], gather_slots(boxes, sample.index), unit)
        return RoISamples(chosen, labels, index, sample.positive, sample.valid)

    @torch.no_grad()
    def mask_samples(self, samples: RoISamples, keys: Tensor) -> MaskSamples:
        """Picks the batch's foreground for the mask head, in random order: min(mask_slots, most foreground) slots."""
        foreground = samples.foreground
        batch, size = foreground.shape
        most = batch * max(int(size * self.positive_fraction), 1)
        rank = torch.where(foreground, hash_noise(keys, size, NOISE_STREAM + 1), -1).flatten()
        index = rank.topk(min(self.mask_slots, most)).indices
        valid = foreground.flatten()[index]
        unit = constant(UNIT_BOX, samples.boxes)
        return MaskSamples(
            images=index // size,
            boxes=torch.where(valid[:, None], samples.boxes.flatten(0, 1)[index], unit),
            labels=torch.where(valid, samples.labels.flatten()[index], 0),
            matches=samples.matches.flatten()[index],
            valid=valid,
        )
