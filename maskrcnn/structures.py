"""The tensors that pass between the parts: padded to fixed sizes, with a mask that says which slots are real.

Shape letters, here and everywhere: B images of a batch, H and W of the padded canvas, G ground-truth slots, A anchors,
P proposals, S sampled RoIs, F mask slots of a batch, D detections, K classes, C channels, M mask size.
Boxes are x1, y1, x2, y2 in continuous pixels of the padded canvas: pixel (row r, column c) covers [c, c+1] x [r, r+1].
Labels are contiguous, 0..K-1; the index K means background. Masks travel as squares in the frame of their own box.
What an invalid slot holds means nothing and must change nothing.
"""

from typing import NamedTuple

from torch import Tensor

MASK_CROP = 112  # the most cells along a side of a ground-truth mask; four for each of a 28 x 28 mask (TPU Mask R-CNN)


class Targets(NamedTuple):
    """Ground truth of a batch, without crowd regions."""

    boxes: Tensor  # [B, G, 4] float32
    labels: Tensor  # [B, G] int64, 0..K-1
    masks: Tensor  # [B, G, MASK_CROP, MASK_CROP] uint8, 0..255 coverage; the cells in use fill the top left corner
    mask_sizes: Tensor  # [B, G, 2] int64, rows and columns in use: they are stretched over the object's box
    valid: Tensor  # [B, G] bool


class Batch(NamedTuple):
    """Pictures and ground truth of one step."""

    images: Tensor  # [B, C, H, W] uint8, RGB if C is 3; the content fills the top left corner
    image_sizes: Tensor  # [B, 2] int64, height and width of the content on the canvas
    original_sizes: Tensor  # [B, 2] int64, height and width of the picture as it was read
    indices: Tensor  # [B] int64, the pictures' positions in their data set
    keys: Tensor  # [B] int64 in 0..2**32-1, a hash of (seed, epoch, index, repeat): the source of all sampling noise
    targets: Targets


class Proposals(NamedTuple):
    """Regions proposed by the RPN, best first."""

    boxes: Tensor  # [B, P, 4]
    scores: Tensor  # [B, P] objectness logits
    valid: Tensor  # [B, P] bool


class RoISamples(NamedTuple):
    """Regions that the second stage trains on, foreground first."""

    boxes: Tensor  # [B, S, 4]
    labels: Tensor  # [B, S] int64, 0..K-1, K = background
    matches: Tensor  # [B, S] int64, the ground-truth slot of each foreground region
    foreground: Tensor  # [B, S] bool
    valid: Tensor  # [B, S] bool


class MaskSamples(NamedTuple):
    """The foreground regions of a whole batch that the mask head trains on."""

    images: Tensor  # [F] int64, which picture of the batch
    boxes: Tensor  # [F, 4]
    labels: Tensor  # [F] int64, 0..K-1
    matches: Tensor  # [F] int64, slot of the ground truth in its picture
    valid: Tensor  # [F] bool


class BoxDetections(NamedTuple):
    """Classified and refined boxes, best first."""

    boxes: Tensor  # [B, D, 4]
    scores: Tensor  # [B, D] probabilities
    labels: Tensor  # [B, D] int64, 0..K-1
    valid: Tensor  # [B, D] bool


class Detections(NamedTuple):
    """Detected instances, best first."""

    boxes: Tensor  # [B, D, 4]
    scores: Tensor  # [B, D] probabilities
    labels: Tensor  # [B, D] int64, 0..K-1
    masks: Tensor  # [B, D, M, M] probabilities, in the frame of the detection's box
    valid: Tensor  # [B, D] bool


class Loss(NamedTuple):
    """A loss as its sum and the number it is to be divided by, so that ranks and micro-batches can be added exactly."""

    sum: Tensor  # scalar
    count: Tensor  # type: ignore[assignment]  # scalar, may be 0; hides tuple.count, which nobody wants here


class Losses(NamedTuple):
    """The five losses of Mask R-CNN (arXiv 1703.06870, section 3; arXiv 1506.01497, equation 1)."""

    rpn_objectness: Loss
    rpn_box: Loss
    classification: Loss
    box: Loss
    mask: Loss
