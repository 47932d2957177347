"""Where in the network an object can be lost, in the order of the steps."""

from typing import NamedTuple


class Bucket(NamedTuple):
    """One step that loses objects, and the keys of the configuration that act on it."""

    name: str
    title: str
    keys: tuple[str, ...]
    remedy: str
    colour: str


BUCKETS = (
    Bucket(
        "anchors",
        "no anchor reaches it",
        ("model.anchors.scales", "model.anchors.ratios", "data.resize"),
        "give anchors of its size and shape (inspect_data.py suggests some), or show pictures larger",
        "#08306b",
    ),
    Bucket(
        "rpn_boxes",
        "RPN moves the anchor away",
        ("model.rpn.convs", "model.rpn.box_loss", "loss_weights.rpn_box"),
        "an anchor fits, but refined it does not: train longer, or weigh the RPN's box loss more",
        "#2171b5",
    ),
    Bucket(
        "rpn_pre_nms",
        "too low in the RPN's ranking",
        ("model.rpn.test_pre_nms", "loss_weights.rpn_objectness"),
        "its refined anchor is not among the best of its level: raise the number that enters NMS",
        "#4eb3d3",
    ),
    Bucket(
        "rpn_nms",
        "suppressed in the RPN",
        ("model.rpn.nms_threshold", "model.rpn.min_size"),
        "a better refined anchor overlaps its own: raise the threshold where objects stand close",
        "#7bccc4",
    ),
    Bucket(
        "rpn_post_nms",
        "beyond the number of proposals",
        ("model.rpn.test_post_nms",),
        "raise the number of proposals kept of a picture",
        "#2ca25f",
    ),
    Bucket(
        "box_refinement",
        "box head moves the region away",
        ("model.box_head.box_loss", "model.box_head.delta_weights", "loss_weights.box"),
        "a proposal fits, but refined for its class it does not: train longer, or weigh the box loss more",
        "#b8860b",
    ),
    Bucket(
        "score",
        "scores under the threshold",
        ("model.box_head.score_threshold", "loss_weights.classification"),
        "its region is taken for background: lower the threshold, or show more such objects in training",
        "#fdbf11",
    ),
    Bucket(
        "class",
        "taken for another class",
        ("loss_weights.classification", "data.repeat_threshold", "data.class_map"),
        "its region scores enough for another class only: repeat rare classes, or join those that cannot be told apart",
        "#e6550d",
    ),
    Bucket(
        "box_pre_nms",
        "too low in the box head's ranking",
        ("model.box_head.pre_nms",),
        "raise the number of pairs of region and class that enter NMS",
        "#a63603",
    ),
    Bucket(
        "box_nms",
        "suppressed by a better detection",
        ("model.box_head.nms_threshold", "model.box_head.nms", "model.box_head.min_size"),
        "a better detection of its class overlaps its own: raise the threshold where objects stand close",
        "#de2d26",
    ),
    Bucket(
        "max_detections",
        "beyond the number of detections",
        ("model.box_head.max_detections",),
        "raise the number of detections kept of a picture",
        "#fb6a8a",
    ),
    Bucket(
        "mask",
        "mask fits too little",
        ("model.mask_head.pool_size", "model.mask_head.channels", "loss_weights.mask"),
        "its box is found, its mask is not: finer masks, or train longer",
        "#6a51a3",
    ),
    Bucket(
        "shared",
        "its detection counts for another object",
        ("model.box_head.nms_threshold",),
        "one mask covers two objects: do they overlap strongly, or is one annotated twice?",
        "#9e9ac8",
    ),
)
NAMES = tuple(bucket.name for bucket in BUCKETS)
