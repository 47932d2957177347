"""Region proposal network (arXiv 1506.01497, section 3; on a pyramid: arXiv 1612.03144, section 4.1)."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.modeling.layers import conv_block, normal_init
from maskrcnn.ops.boxes import UNIT_BOX, clip_boxes, constant, decode_boxes
from maskrcnn.ops.losses import BoxLoss, box_loss, masked_loss
from maskrcnn.ops.matching import Matches, match_boxes
from maskrcnn.ops.nms import nms
from maskrcnn.ops.sampling import Subsample, gather_slots, hash_noise, subsample
from maskrcnn.ops.windows import cell_windows, convolve
from maskrcnn.structures import Loss, Proposals, Targets

DELTA_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
NOISE_STREAM = 1


class RPNOutput(NamedTuple):
    """What the RPN says of each anchor, level by level; A_l anchors on level l."""

    objectness: tuple[Tensor, ...]  # [B, A_l] logits
    deltas: tuple[Tensor, ...]  # [B, A_l, 4]
    anchors: tuple[Tensor, ...]  # [A_l, 4]
    features: tuple[Tensor, ...] = ()  # what it looked at, if `RPN.at` is to look there again, not at the above


class RefinedAnchors(NamedTuple):
    """The best anchors of each of L levels and what their deltas make of them, in N slots, best first."""

    index: Tensor  # type: ignore[assignment]  # [B, L, N] int64, the anchor on its level; hides tuple.index
    boxes: Tensor  # [B, L, N, 4], clipped to the content
    scores: Tensor  # [B, L, N] objectness logits
    valid: Tensor  # [B, L, N] bool: there is such an anchor


class RPN(nn.Module):
    """Scores and refines anchors, learns from a sample of them, and proposes regions.

    Args:
        channels: of the feature maps; anchors_per_cell: of the anchors. Both wired.
        convs: 3x3 convolutions before the two predictors; 1 in the paper.
        positive_iou, negative_iou: an anchor is positive from this IoU on with an object, negative below that with all.
        batch_per_image: anchors sampled an image for the loss; positive_fraction: at most this share is positive.
        box_loss: smooth_l1 or giou; smooth_l1_beta: where smooth L1 turns from quadratic to linear, 0 for L1.
        train_pre_nms, test_pre_nms: best anchors kept on each level before NMS.
        train_post_nms, test_post_nms: best proposals kept of an image after it.
        nms_threshold: highest IoU of two proposals of one level.
        min_size: proposals with a shorter side, in pixels, are dropped.

    Raises:
        ValueError: negative_iou is above positive_iou.
    """

    def __init__(
        self,
        channels: int,
        anchors_per_cell: int,
        *,
        convs: int,
        positive_iou: float,
        negative_iou: float,
        batch_per_image: int,
        positive_fraction: float,
        box_loss: BoxLoss,
        smooth_l1_beta: float,
        train_pre_nms: int,
        train_post_nms: int,
        test_pre_nms: int,
        test_post_nms: int,
        nms_threshold: float,
        min_size: float,
    ) -> None:
        super().__init__()
        if negative_iou > positive_iou:
            raise ValueError(
                f"model.rpn.negative_iou is {negative_iou}, above positive_iou {positive_iou}: an anchor between them "
                "would be both; give at most positive_iou"
            )
        self.conv = nn.Sequential(*(conv_block(channels, channels, None) for _ in range(convs)))
        self.objectness = nn.Conv2d(channels, anchors_per_cell, 1)
        self.deltas = nn.Conv2d(channels, anchors_per_cell * 4, 1)
        for layer in self.conv.modules():
            if isinstance(layer, nn.Conv2d):
                normal_init(layer, 0.01)
        normal_init(self.objectness, 0.01)
        normal_init(self.deltas, 0.01)
        self.positive_iou, self.negative_iou = positive_iou, negative_iou
        self.batch_per_image, self.positive_fraction = batch_per_image, positive_fraction
        self.box_loss, self.smooth_l1_beta = box_loss, smooth_l1_beta
        self.limits = {True: (train_pre_nms, train_post_nms), False: (test_pre_nms, test_post_nms)}
        self.nms_threshold, self.min_size = nms_threshold, min_size
        # A class of one's own may have other layers, or say more of an anchor than `at` sees. Others change them later.
        ours = all(getattr(type(self), name) is getattr(RPN, name) for name in ("__init__", "forward", "loss"))
        self.layers_of_ours = self._layers() if ours else []

    def _layers(self) -> list[tuple[Any, ...]]:
        """What its modules are, and how many hooks may change what each says. (`repr` cannot be compiled.)"""
        geometry = ("kernel_size", "dilation", "padding_mode")
        return [
            (type(one), len(one._forward_hooks), len(one._forward_pre_hooks))
            + tuple(getattr(one, key, None) for key in geometry)
            for one in self.modules()
        ]

    def forward(self, features: tuple[Tensor, ...], anchors: tuple[Tensor, ...]) -> RPNOutput:
        """Scores and deltas of every anchor: features [B, C, H_l, W_l] and anchors [A_l, 4] of each level."""
        objectness, deltas = [], []
        for level in features:
            hidden = self.conv(level)
            objectness.append(self.objectness(hidden).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.deltas(hidden).permute(0, 2, 3, 1).reshape(level.shape[0], -1, 4))
        # Without a convolution there is little to save; on a GPU it is yet to be measured.
        local = len(self.conv) > 0 and features[0].device.type == "cpu" and self._layers() == self.layers_of_ours
        return RPNOutput(tuple(objectness), tuple(deltas), anchors, features if local else ())

    def at(self, output: RPNOutput, index: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` says of few anchors: index [B, S] over all levels; logits [B, S] and deltas [B, S, 4], float.

        Looks at the cells around those anchors once more: the same up to rounding, but the backward goes through them
        only. That through all cells took 0.15 of a step on a CPU: 2 pictures of 600 x 800, each with 256 of 121,000
        anchors. Without `output.features` it picks from what `forward` said of all.
        """
        if not output.features:
            objectness = torch.cat(output.objectness, dim=1).float()
            deltas = torch.cat(output.deltas, dim=1).float()
            return objectness.gather(1, index), gather_slots(deltas, index)
        per_cell = self.objectness.out_channels
        windows, inside = cell_windows(output.features, index // per_cell, len(self.conv))
        hidden, inside = windows.flatten(0, 1), inside.flatten(0, 1)
        for conv in (layer for layer in self.conv.modules() if isinstance(layer, nn.Conv2d)):
            hidden = F.relu(convolve(hidden, conv.weight, conv.bias))
            inside = inside[:, 1:-1, 1:-1]
            hidden = torch.where(inside, hidden, 0)  # beyond the border the next one reads zeros as well
        hidden = hidden.flatten(1)
        logits = F.linear(hidden, self.objectness.weight.flatten(1), self.objectness.bias)
        deltas = F.linear(hidden, self.deltas.weight.flatten(1), self.deltas.bias).view(-1, per_cell, 4)
        anchor = (index % per_cell).flatten()[:, None]
        logits, deltas = logits.gather(1, anchor), gather_slots(deltas, anchor)
        return logits.view(index.shape).float(), deltas.view(*index.shape, 4).float()

    @torch.no_grad()
    def match(self, anchors: Tensor, targets: Targets) -> Matches:
        """Which anchors [A, 4] of all levels are to find which object, or none: fields [B, A]."""
        return match_boxes(
            anchors, targets.boxes, targets.valid, low=self.negative_iou, high=self.positive_iou, low_quality=True
        )

    @torch.no_grad()
    def sample(self, matches: Matches, keys: Tensor) -> Subsample:
        """Draws the anchors that an image is learnt from; keys: [B], the noise's source."""
        noise = hash_noise(keys, matches.index.shape[1], NOISE_STREAM)
        return subsample(matches.positive, matches.negative, noise, self.batch_per_image, self.positive_fraction)

    def loss(self, output: RPNOutput, targets: Targets, keys: Tensor) -> tuple[Loss, Loss]:
        """Objectness and box loss over a random sample of anchors; both count the sampled anchors.

        Args:
            output: of `forward`; targets: ground truth, valid slots of positive size; keys: [B], the noise's source.
        """
        anchors = torch.cat(output.anchors)
        with torch.no_grad():
            matches = self.match(anchors, targets)
            sample = self.sample(matches, keys)
            objects = gather_slots(targets.boxes, matches.index.gather(1, sample.index))
            references = anchors[sample.index]
            count = sample.valid.sum()
        logits, deltas = self.at(output, sample.index)
        score_losses = self.score_losses(logits, sample.positive)
        # An invalid slot's box is a unit box: its deltas are finite, and `positive` leaves them out.
        box_losses = self.box_losses(deltas, references, objects)
        return masked_loss(score_losses, sample.valid, count), masked_loss(box_losses, sample.positive, count)

    def score_losses(self, logits: Tensor, positive: Tensor) -> Tensor:
        """Binary cross-entropy [B, S] of sampled anchors, by their logits and whether they are positive [B, S] bool."""
        return F.binary_cross_entropy_with_logits(logits, positive.to(logits.dtype), reduction="none")

    def box_losses(self, deltas: Tensor, references: Tensor, objects: Tensor) -> Tensor:
        """The box loss [B, S] of anchors (`references`) that deltas move to `objects`: [B, S, 4] each."""
        return box_loss(self.box_loss, deltas, references, objects, DELTA_WEIGHTS, self.smooth_l1_beta)

    @torch.no_grad()
    def propose(self, output: RPNOutput, image_sizes: Tensor, training: bool) -> Proposals:
        """Turns the best anchors into regions: top-k and NMS on each level, then the best of all levels.

        Args:
            output: of `forward`; image_sizes: [B, 2] height and width of the content, to clip at.
            training: use the training numbers of proposals.

        Returns:
            `Proposals` with min(post_nms, candidates) slots, best first.
        """
        refined = self.refine(output, image_sizes, training)
        index, kept = self.select(refined, training)
        boxes = gather_slots(refined.boxes.flatten(1, 2), index)
        unit = constant(UNIT_BOX, boxes)
        scores = refined.scores.flatten(1).gather(1, index)
        return Proposals(torch.where(kept[..., None], boxes, unit), torch.where(kept, scores, 0), kept)

    @torch.no_grad()
    def refine(self, output: RPNOutput, image_sizes: Tensor, training: bool) -> RefinedAnchors:
        """The first half of `propose`: the best anchors of each level, moved by their deltas."""
        return self.refine_best(output, image_sizes, self.limits[training][0])

    @torch.no_grad()
    def refine_best(self, output: RPNOutput, image_sizes: Tensor, pre_nms: int) -> RefinedAnchors:
        """`refine` with any number of anchors a level."""
        most = min(pre_nms, max(level.shape[1] for level in output.objectness))
        boxes, scores, indices = [], [], []
        for level_scores, level_deltas, anchors in zip(output.objectness, output.deltas, output.anchors):
            k = min(pre_nms, level_scores.shape[1])
            best, index = level_scores.float().topk(k, dim=1)
            decoded = decode_boxes(gather_slots(level_deltas.float(), index), anchors[index], DELTA_WEIGHTS)
            scores.append(F.pad(best, (0, most - k), value=-torch.inf))
            boxes.append(F.pad(decoded, (0, 0, 0, most - k)))
            indices.append(F.pad(index, (0, most - k)))
        box = clip_boxes(torch.cat(boxes, dim=1), image_sizes).view(image_sizes.shape[0], len(boxes), most, 4)
        score = torch.stack(scores, dim=1)
        return RefinedAnchors(torch.stack(indices, dim=1), box, score, score > -torch.inf)

    @torch.no_grad()
    def suppress(self, refined: RefinedAnchors) -> Tensor:
        """Which anchors [B, L, N] bool are large enough and outlive the NMS of their level."""
        large = (refined.boxes[..., 2:] - refined.boxes[..., :2]).amin(dim=-1) >= self.min_size
        return nms(refined.boxes, refined.valid & large, self.nms_threshold)

    @torch.no_grad()
    def select(self, refined: RefinedAnchors, training: bool) -> tuple[Tensor, Tensor]:
        """The second half: `suppress` on each level, then the best of all.

        Returns:
            [B, P] int64, slots of `refined` counted over all levels, best first, and [B, P] bool, whether they are one.
        """
        keep = self.suppress(refined)
        ranked = torch.where(keep, refined.scores, -torch.inf).flatten(1)
        index = ranked.topk(min(self.limits[training][1], ranked.shape[1]), dim=1).indices
        return index, keep.flatten(1).gather(1, index)
