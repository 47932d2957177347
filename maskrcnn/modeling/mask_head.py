"""The mask head: a small fully convolutional network on each region (arXiv 1703.06870, section 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.modeling.layers import NormName, conv_block, make_norm
from maskrcnn.ops.losses import masked_loss
from maskrcnn.ops.masks import crop_masks
from maskrcnn.structures import Loss, MaskSamples, Targets


class MaskHead(nn.Module):
    """Draws a mask of each class in each region; a region's class chooses, so that classes do not compete.

    Args:
        in_channels: of the pooled features; num_classes: K. Both wired.
        pool_size: side of the pooled grid; masks are twice as large, 28 for the paper's 14.
        channels: outputs of each 3x3 convolution, four of 256 in the paper.
        upsampled_channels: outputs of the transposed convolution that doubles the grid.
        class_agnostic: one mask for all classes.
        norm: after each convolution, null for none; norm_eps: its epsilon.
        target_sampling: samples along each axis of a target's cell, when ground truth is cropped to a region.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        pool_size: int,
        channels: list[int],
        upsampled_channels: int,
        class_agnostic: bool,
        norm: NormName | None,
        norm_eps: float,
        target_sampling: int,
    ) -> None:
        super().__init__()
        make = None if norm is None else make_norm(norm, norm_eps)
        inputs = [in_channels, *channels]
        self.convs = nn.Sequential(*(conv_block(a, b, make) for a, b in zip(inputs, inputs[1:])))
        self.upsample = nn.ConvTranspose2d(inputs[-1], upsampled_channels, 2, stride=2)
        self.logits = nn.Conv2d(upsampled_channels, 1 if class_agnostic else num_classes, 1)
        for layer in (self.upsample, self.logits):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.pool_size, self.target_sampling = pool_size, target_sampling

    def forward(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """Mask logits [N, M, M], M = 2 * pool_size, of regions pooled to [N, C, pool_size, pool_size], labels [N]."""
        logits = self.logits(F.relu(self.upsample(self.convs(pooled))))
        own = labels.clamp(max=logits.shape[1] - 1)[:, None, None, None].expand(-1, 1, *logits.shape[2:])
        return logits.gather(1, own).squeeze(1).float()

    @torch.no_grad()
    def targets(self, samples: MaskSamples, targets: Targets) -> Tensor:
        """Ground truth cropped to the sampled regions: [F, M, M] coverage 0..1, soft at the border as torchvision's."""
        masks = targets.masks[samples.images, samples.matches].to(torch.float32) / 255
        used = targets.mask_sizes[samples.images, samples.matches]
        boxes = targets.boxes[samples.images, samples.matches]
        with torch.autocast(masks.device.type, enabled=False):  # bfloat16 would round what is to be learnt
            return crop_masks(masks, used, boxes, samples.boxes, 2 * self.pool_size, self.target_sampling)

    def loss(self, logits: Tensor, wanted: Tensor, samples: MaskSamples) -> Loss:
        """Mean binary cross-entropy of each region's mask [F, M, M]; counts the regions."""
        pixels = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return masked_loss(pixels.mean(dim=(1, 2)), samples.valid, samples.valid.sum())
