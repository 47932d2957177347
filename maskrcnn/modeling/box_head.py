"""The box head: what a region is, and where exactly (arXiv 1506.01497; arXiv 1612.03144, section 4.2)."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.modeling.layers import NormName, conv_block, make_norm, normal_init
from maskrcnn.ops.boxes import UNIT_BOX, clip_boxes, constant, decode_boxes
from maskrcnn.ops.losses import BoxLoss, box_loss, masked_loss
from maskrcnn.ops.nms import nms
from maskrcnn.ops.sampling import gather_slots
from maskrcnn.ops.soft_nms import soft_nms
from maskrcnn.structures import BoxDetections, Loss, Proposals, RoISamples, Targets


class Trunk(Protocol):
    """Layers from pooled features [N, C, size, size] to a vector [N, out_features] for the predictors."""

    out_features: int

    def __call__(self, pooled: Tensor) -> Tensor: ...


class FCTrunk(nn.Sequential):
    """Fully connected layers with ReLU, two of 1,024 in the paper.

    Args:
        in_channels, size: of the pooled features, wired.
        features: outputs of each layer.
    """

    def __init__(self, in_channels: int, size: int, *, features: list[int]) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = in_channels * size * size
        for outputs in features:
            linear = nn.Linear(inputs, outputs)
            nn.init.kaiming_uniform_(linear.weight, a=1)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU(inplace=True)]
            inputs = outputs
        super().__init__(*layers)
        self.out_features = inputs


class ConvFCTrunk(nn.Sequential):
    """Convolutions, then fully connected layers: "4conv1fc" of arXiv 1803.08494.

    Args:
        in_channels, size: of the pooled features, wired.
        channels: outputs of each 3x3 convolution; features: of each fully connected layer.
        norm: after each convolution, null for none; norm_eps: its epsilon.
    """

    def __init__(
        self,
        in_channels: int,
        size: int,
        *,
        channels: list[int],
        features: list[int],
        norm: NormName | None,
        norm_eps: float,
    ) -> None:
        make = None if norm is None else make_norm(norm, norm_eps)
        inputs = [in_channels, *channels]
        convs = [conv_block(a, b, make) for a, b in zip(inputs, inputs[1:])]
        fc = FCTrunk(inputs[-1], size, features=features)
        super().__init__(*convs, fc)
        self.out_features = fc.out_features


class BoxPrediction(NamedTuple):
    """What the box head says of N regions."""

    logits: Tensor  # [N, K + 1], the background last
    deltas: Tensor  # [N, K, 4], or [N, 1, 4] where classes share them


class RefinedRegions(NamedTuple):
    """The best pairs of a region and a class, N of an image, best first."""

    regions: Tensor  # [B, N] int64, the proposal
    labels: Tensor  # [B, N] int64, 0..K-1
    boxes: Tensor  # [B, N, 4], moved by the deltas and clipped to the content
    scores: Tensor  # [B, N] probabilities
    valid: Tensor  # [B, N] bool: there is such a region, and it scores enough


class BoxHead(nn.Module):
    """Classifies regions and refines their boxes, with its loss and its choice of detections.

    Args:
        in_channels: of the pooled features; num_classes: K. Both wired.
        trunk: makes the layers between pooling and predictors from (in_channels, pool_size).
        pool_size: side of the pooled grid; 7 in the paper.
        class_agnostic: one box refinement for all classes.
        delta_weights: of dx, dy, dw, dh; 10, 10, 5, 5 in Fast R-CNN, which bring the deltas to unit variance.
        box_loss: smooth_l1 or giou; smooth_l1_beta: where smooth L1 turns from quadratic to linear, 0 for L1.
        score_threshold: detections score more than this.
        min_size: detections with a shorter side, in pixels, are dropped.
        nms: greedy drops a detection that overlaps a better one of its class; linear and gaussian lower its score
            instead, see `maskrcnn.ops.soft_nms`.
        nms_threshold: highest IoU of two detections of one class; for linear, from which on scores fall.
        nms_sigma: how slowly scores fall with the IoU, for gaussian only.
        pre_nms: best (region, class) pairs of an image that enter NMS.
        max_detections: best detections kept of an image; at most pre_nms.

    Raises:
        ValueError: max_detections is below 1 or above pre_nms, nms_sigma is not above 0, or an unknown nms.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        trunk: Callable[[int, int], Trunk],
        pool_size: int,
        class_agnostic: bool,
        delta_weights: tuple[float, float, float, float],
        box_loss: BoxLoss,
        smooth_l1_beta: float,
        score_threshold: float,
        min_size: float,
        nms: Literal["greedy", "linear", "gaussian"],
        nms_threshold: float,
        nms_sigma: float,
        pre_nms: int,
        max_detections: int,
    ) -> None:
        super().__init__()
        if max_detections < 1:
            raise ValueError(f"model.box_head.max_detections is {max_detections}; give 1 or more")
        if max_detections > pre_nms:
            raise ValueError(
                f"model.box_head.max_detections is {max_detections}, but only model.box_head.pre_nms={pre_nms} enter "
                "NMS: raise pre_nms to several times max_detections"
            )
        if nms not in ("greedy", "linear", "gaussian"):
            raise ValueError(f"model.box_head.nms is {nms!r}; choose greedy, linear or gaussian")
        if nms_sigma <= 0:
            raise ValueError(f"model.box_head.nms_sigma is {nms_sigma}; give a number above 0, such as 0.5")
        self.num_classes, self.pool_size, self.class_agnostic = num_classes, pool_size, class_agnostic
        self.trunk = trunk(in_channels, pool_size)
        self.logits = nn.Linear(self.trunk.out_features, num_classes + 1)
        self.deltas = nn.Linear(self.trunk.out_features, 4 if class_agnostic else num_classes * 4)
        normal_init(self.logits, 0.01)
        normal_init(self.deltas, 0.001)
        dx, dy, dw, dh = delta_weights
        self.delta_weights = (dx, dy, dw, dh)
        self.box_loss, self.smooth_l1_beta = box_loss, smooth_l1_beta
        self.score_threshold, self.min_size, self.nms_threshold = score_threshold, min_size, nms_threshold
        self.nms, self.nms_sigma = nms, nms_sigma
        self.pre_nms, self.max_detections = pre_nms, max_detections

    def forward(self, pooled: Tensor) -> BoxPrediction:
        """Classes and deltas of pooled regions [N, C, pool_size, pool_size]."""
        hidden = self.trunk(pooled)
        return BoxPrediction(self.logits(hidden).float(), self.deltas(hidden).float().unflatten(1, (-1, 4)))

    def loss(self, prediction: BoxPrediction, samples: RoISamples, targets: Targets) -> tuple[Loss, Loss]:
        """Cross-entropy and box loss of the sampled regions, N = B * S; both count the regions."""
        foreground, valid = samples.foreground.flatten(), samples.valid.flatten()
        labels, references = samples.labels.flatten(), samples.boxes.flatten(0, 1)
        count = valid.sum()
        objects = gather_slots(targets.boxes, samples.matches).flatten(0, 1)
        own = labels.clamp(max=prediction.deltas.shape[1] - 1)[:, None, None].expand(-1, 1, 4)
        class_losses = self.class_losses(prediction.logits, labels)
        box_losses = self.box_losses(prediction.deltas.gather(1, own).squeeze(1), references, objects)
        return masked_loss(class_losses, valid, count), masked_loss(box_losses, foreground, count)

    def class_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy [N] of regions, by their logits [N, K + 1] and labels [N], K for the background."""
        return F.cross_entropy(logits, labels, reduction="none")

    def box_losses(self, deltas: Tensor, references: Tensor, objects: Tensor) -> Tensor:
        """The box loss [N] of regions (`references`) that deltas move to `objects`: [N, 4] each."""
        return box_loss(self.box_loss, deltas, references, objects, self.delta_weights, self.smooth_l1_beta)

    def detect(self, prediction: BoxPrediction, proposals: Proposals, image_sizes: Tensor) -> BoxDetections:
        """Chooses detections: score threshold, per-class NMS of the chosen kind, the best of each image.

        Args:
            prediction: of the proposals, N = B * P; image_sizes: [B, 2] height and width of the content, to clip at.

        Returns:
            `BoxDetections` with min(max_detections, candidates) slots, best first.
        """
        refined = self.refine(prediction, proposals, image_sizes)
        index, scores = self.select(refined)
        kept, boxes = scores >= 0, gather_slots(refined.boxes, index)
        unit = constant(UNIT_BOX, boxes)
        return BoxDetections(
            boxes=torch.where(kept[..., None], boxes, unit),
            scores=torch.where(kept, scores, 0),
            labels=torch.where(kept, refined.labels.gather(1, index), 0),
            valid=kept,
        )

    def refine(self, prediction: BoxPrediction, proposals: Proposals, image_sizes: Tensor) -> RefinedRegions:
        """The first half of `detect`: the best pairs of region and class, the region moved by its deltas."""
        return self.refine_best(prediction, proposals, image_sizes, self.score_threshold, self.pre_nms)

    def refine_best(
        self, prediction: BoxPrediction, proposals: Proposals, image_sizes: Tensor, score_threshold: float, pre_nms: int
    ) -> RefinedRegions:
        """`refine` with any number of pairs an image, and any threshold from 0 on; -1 for pairs of any score."""
        batch, regions = proposals.valid.shape
        classes = self.num_classes
        scores = prediction.logits.softmax(dim=-1)[:, :classes].reshape(batch, regions * classes)
        candidate = proposals.valid[..., None].expand(-1, -1, classes).flatten(1) & (scores > score_threshold)
        ranked, index = torch.where(candidate, scores, -1).topk(min(pre_nms, scores.shape[1]), dim=1)
        region, label = index // classes, index % classes
        deltas = prediction.deltas.view(batch, -1, 4)
        own = region if self.class_agnostic else index
        boxes = decode_boxes(gather_slots(deltas, own), gather_slots(proposals.boxes, region), self.delta_weights)
        return RefinedRegions(region, label, clip_boxes(boxes, image_sizes), ranked, ranked >= 0)

    def rescore(self, refined: RefinedRegions) -> Tensor:
        """Scores [B, N] of the pairs after the NMS of their class, -1 where it or `min_size` drops one."""
        large = (refined.boxes[..., 2:] - refined.boxes[..., :2]).amin(dim=-1) >= self.min_size
        boxes, labels, valid = refined.boxes, refined.labels, refined.valid & large
        if self.nms == "greedy":
            return torch.where(nms(boxes, valid, self.nms_threshold, groups=labels), refined.scores, -1)
        return soft_nms(
            boxes,
            refined.scores,
            valid,
            decay=self.nms,
            threshold=self.nms_threshold,
            sigma=self.nms_sigma,
            least=self.score_threshold,
            most=self.max_detections,
            groups=labels,
        )

    def suppress(self, refined: RefinedRegions) -> Tensor:
        """Which pairs [B, N] bool have a box that is large enough and outlives the NMS of its class."""
        return self.rescore(refined) >= 0

    def select(self, refined: RefinedRegions) -> tuple[Tensor, Tensor]:
        """The second half: `rescore` within each class, then the best of all.

        Returns:
            [B, D] int64, slots of `refined`, best first, and [B, D] their scores, -1 where there is none.
        """
        scores, index = self.rescore(refined).topk(min(self.max_detections, refined.scores.shape[1]), dim=1)
        return index, scores
