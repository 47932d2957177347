"""How others name the weights of a Mask R-CNN, and which conventions those were trained with.

Each `Layout` is told by a key that only it has. What a project does always is compared with the configuration; what it
does sometimes and its files do not say, such as the scale of pixels, is the configuration's.
"""

import re
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Colours = Literal["rgb", "bgr"]
NOTHING = r"(?!)"  # a pattern that matches no key
_NAMED = 3  # keys that are not read
# COCO's 80 classes carry ids up to 90; torchvision's rows are these raw ids.
COCO_IDS = [i for i in range(1, 91) if i not in {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}]


class Rename(NamedTuple):
    """A pattern of their keys, ours with {0}, {1}, ... for its groups, and what is added to the first of these."""

    pattern: str
    ours: str
    shift: int = 0


class Layout(NamedTuple):
    """What is common to the files of one project.

    Where `aligned`, RoIAlign is Detectron2's and anchors lie at their exact places; otherwise both are torchvision's.
    """

    project: str  # as users call it
    mark: str  # pattern of a key that shows it
    renames: list[Rename]
    ignored: str = NOTHING  # pattern of keys that hold no weights
    lacks: str = NOTHING  # pattern of our keys that its files need not have
    aligned: bool = True
    background_first: bool = False
    norm_eps: float | None = None  # of its batch norms, where all files have the same


TORCHVISION = Layout(
    project="torchvision's Mask R-CNN V1",
    mark=r"backbone\.body\..+",
    renames=[
        Rename(r"backbone\.body\.(.+)", "backbone.{0}"),
        Rename(r"backbone\.fpn\.inner_blocks\.(\d)\.(?:0\.)?(weight|bias)", "neck.lateral.{0}.0.{1}"),
        Rename(r"backbone\.fpn\.layer_blocks\.(\d)\.(?:0\.)?(weight|bias)", "neck.output.{0}.0.{1}"),
        Rename(r"rpn\.head\.conv\.(?:0\.0\.)?(weight|bias)", "rpn.conv.0.0.{0}"),
        Rename(r"rpn\.head\.cls_logits\.(.+)", "rpn.objectness.{0}"),
        Rename(r"rpn\.head\.bbox_pred\.(.+)", "rpn.deltas.{0}"),
        Rename(r"roi_heads\.box_head\.fc6\.(.+)", "box_head.trunk.1.{0}"),
        Rename(r"roi_heads\.box_head\.fc7\.(.+)", "box_head.trunk.3.{0}"),
        Rename(r"roi_heads\.box_predictor\.cls_score\.(.+)", "box_head.logits.{0}"),
        Rename(r"roi_heads\.box_predictor\.bbox_pred\.(.+)", "box_head.deltas.{0}"),
        Rename(r"roi_heads\.mask_head\.(\d)\.0\.(.+)", "mask_head.convs.{0}.0.{1}"),
        Rename(r"roi_heads\.mask_head\.mask_fcn(\d)\.(.+)", "mask_head.convs.{0}.0.{1}", -1),  # old names, from 1 on
        Rename(r"roi_heads\.mask_predictor\.conv5_mask\.(.+)", "mask_head.upsample.{0}"),
        Rename(r"roi_heads\.mask_predictor\.mask_fcn_logits\.(.+)", "mask_head.logits.{0}"),
    ],
    aligned=False,
    background_first=True,
)
_BOTTOM_UP = r"(?:backbone\.bottom_up\.)?"  # which files of the backbone alone lack
DETECTRON2 = Layout(
    project="Detectron2's Mask R-CNN",
    mark=r"(?:backbone\.)?(?:bottom_up\.)?stem\.conv1\.weight|proposal_generator\..+",
    renames=[
        Rename(rf"{_BOTTOM_UP}stem\.conv1\.(weight)", "backbone.conv1.{0}"),
        Rename(rf"{_BOTTOM_UP}stem\.conv1\.norm\.(.+)", "backbone.bn1.{0}"),
        Rename(rf"{_BOTTOM_UP}res(\d)\.(\d+)\.conv(\d)\.(weight)", "backbone.layer{0}.{1}.conv{2}.{3}", -1),
        Rename(rf"{_BOTTOM_UP}res(\d)\.(\d+)\.conv(\d)\.norm\.(.+)", "backbone.layer{0}.{1}.bn{2}.{3}", -1),
        Rename(rf"{_BOTTOM_UP}res(\d)\.(\d+)\.shortcut\.(weight)", "backbone.layer{0}.{1}.downsample.0.{2}", -1),
        Rename(rf"{_BOTTOM_UP}res(\d)\.(\d+)\.shortcut\.norm\.(.+)", "backbone.layer{0}.{1}.downsample.1.{2}", -1),
        Rename(r"backbone\.fpn_lateral(\d)\.(weight|bias)", "neck.lateral.{0}.0.{1}", -2),
        Rename(r"backbone\.fpn_lateral(\d)\.norm\.(.+)", "neck.lateral.{0}.1.{1}", -2),
        Rename(r"backbone\.fpn_output(\d)\.(weight|bias)", "neck.output.{0}.0.{1}", -2),
        Rename(r"backbone\.fpn_output(\d)\.norm\.(.+)", "neck.output.{0}.1.{1}", -2),
        Rename(r"proposal_generator\.rpn_head\.conv\.(weight|bias)", "rpn.conv.0.0.{0}"),
        Rename(r"proposal_generator\.rpn_head\.conv\.conv(\d)\.(weight|bias)", "rpn.conv.{0}.0.{1}"),
        Rename(r"proposal_generator\.rpn_head\.objectness_logits\.(.+)", "rpn.objectness.{0}"),
        Rename(r"proposal_generator\.rpn_head\.anchor_deltas\.(.+)", "rpn.deltas.{0}"),
        Rename(r"roi_heads\.box_head\.conv(\d)\.(weight|bias)", "box_head.trunk.{0}.0.{1}", -1),
        Rename(r"roi_heads\.box_head\.conv(\d)\.norm\.(.+)", "box_head.trunk.{0}.1.{1}", -1),
        Rename(r"roi_heads\.box_head\.fc1\.(.+)", "box_head.trunk.1.{0}"),
        Rename(r"roi_heads\.box_head\.fc2\.(.+)", "box_head.trunk.3.{0}"),
        Rename(r"roi_heads\.box_predictor\.cls_score\.(.+)", "box_head.logits.{0}"),
        Rename(r"roi_heads\.box_predictor\.bbox_pred\.(.+)", "box_head.deltas.{0}"),
        Rename(r"roi_heads\.mask_head\.mask_fcn(\d)\.(weight|bias)", "mask_head.convs.{0}.0.{1}", -1),
        Rename(r"roi_heads\.mask_head\.mask_fcn(\d)\.norm\.(.+)", "mask_head.convs.{0}.1.{1}", -1),
        Rename(r"roi_heads\.mask_head\.deconv\.(.+)", "mask_head.upsample.{0}"),
        Rename(r"roi_heads\.mask_head\.predictor\.(.+)", "mask_head.logits.{0}"),
    ],
    ignored=r"pixel_(?:mean|std)|proposal_generator\.anchor_generator\..+|stem\.fc\..+|linear\..+",
    norm_eps=1e-5,
)
MMDETECTION = Layout(
    project="MMDetection's Mask R-CNN",
    mark=r"(?:rpn_head|roi_head|neck\.(?:lateral|fpn)_convs)\..+",
    renames=[
        Rename(r"backbone\.(conv1\.weight|layer\d\.\d+\.(?:conv\d\.weight|downsample\.[01]\..+))", "backbone.{0}"),
        Rename(r"backbone\.((?:layer\d\.\d+\.)?)[bg]n(\d)\.(.+)", "backbone.{0}bn{1}.{2}"),
        Rename(r"neck\.lateral_convs\.(\d)\.conv\.(.+)", "neck.lateral.{0}.0.{1}"),
        Rename(r"neck\.lateral_convs\.(\d)\.[bg]n\.(.+)", "neck.lateral.{0}.1.{1}"),
        Rename(r"neck\.fpn_convs\.(\d)\.conv\.(.+)", "neck.output.{0}.0.{1}"),
        Rename(r"neck\.fpn_convs\.(\d)\.[bg]n\.(.+)", "neck.output.{0}.1.{1}"),
        Rename(r"rpn_head\.rpn_conv\.(weight|bias)", "rpn.conv.0.0.{0}"),
        Rename(r"rpn_head\.rpn_conv\.(\d)\.conv\.(.+)", "rpn.conv.{0}.0.{1}"),
        Rename(r"rpn_head\.rpn_cls\.(.+)", "rpn.objectness.{0}"),
        Rename(r"rpn_head\.rpn_reg\.(.+)", "rpn.deltas.{0}"),
        Rename(r"roi_head\.bbox_head\.shared_convs\.(\d)\.conv\.(.+)", "box_head.trunk.{0}.0.{1}"),
        Rename(r"roi_head\.bbox_head\.shared_convs\.(\d)\.[bg]n\.(.+)", "box_head.trunk.{0}.1.{1}"),
        Rename(r"roi_head\.bbox_head\.shared_fcs\.0\.(.+)", "box_head.trunk.1.{0}"),
        Rename(r"roi_head\.bbox_head\.shared_fcs\.1\.(.+)", "box_head.trunk.3.{0}"),
        Rename(r"roi_head\.bbox_head\.fc_cls\.(.+)", "box_head.logits.{0}"),
        Rename(r"roi_head\.bbox_head\.fc_reg\.(.+)", "box_head.deltas.{0}"),
        Rename(r"roi_head\.mask_head\.convs\.(\d)\.conv\.(.+)", "mask_head.convs.{0}.0.{1}"),
        Rename(r"roi_head\.mask_head\.convs\.(\d)\.[bg]n\.(.+)", "mask_head.convs.{0}.1.{1}"),
        Rename(r"roi_head\.mask_head\.upsample\.(.+)", "mask_head.upsample.{0}"),
        Rename(r"roi_head\.mask_head\.conv_logits\.(.+)", "mask_head.logits.{0}"),
    ],
    ignored=r"data_preprocessor\..+",
    norm_eps=1e-5,
)
RESNET = Layout(
    project="a ResNet",
    mark=r"layer1\.0\.conv1\.weight",
    renames=[Rename(r"(.+)", "backbone.{0}")],
    ignored=r"fc\..+",
)
_OUTPUT_NORMS = r"backbone\.norm\d\..+"  # which only detection has
CONVNEXT = Layout(
    project="a ConvNeXt",
    mark=r"stages\.0\.0\.gamma",
    renames=[Rename(r"(.+)", "backbone.{0}")],
    ignored=r"(?:norm|head)\..+",
    lacks=_OUTPUT_NORMS,
)
_INNER = {r"block\.0": "dwconv", r"block\.2": "norm", r"block\.3": "pwconv1", r"block\.5": "pwconv2"}
TORCHVISION_CONVNEXT = Layout(
    project="torchvision's ConvNeXt",
    mark=r"features\.1\.0\.layer_scale",
    renames=[
        rename
        for i in range(4)
        for rename in (
            Rename(rf"features\.{2 * i}\.(\d)\.(.+)", f"backbone.downsample_layers.{i}.{{0}}.{{1}}"),
            Rename(rf"features\.{2 * i + 1}\.(\d+)\.layer_scale", f"backbone.stages.{i}.{{0}}.gamma"),
            *(
                Rename(rf"features\.{2 * i + 1}\.(\d+)\.{theirs}\.(.+)", f"backbone.stages.{i}.{{0}}.{ours}.{{1}}")
                for theirs, ours in _INNER.items()
            ),
        )
    ],
    ignored=r"classifier\..+",
    lacks=_OUTPUT_NORMS,
)
LAYOUTS = (TORCHVISION, DETECTRON2, MMDETECTION, RESNET, CONVNEXT, TORCHVISION_CONVNEXT)
_V2 = r"backbone\.fpn\.inner_blocks\.0\.1\..+|rpn\.head\.conv\.1\..+|roi_heads\.box_head\.5\..+"


def find_layout(state: dict[str, Any]) -> Layout | None:
    """The layout of a file of weights, or None where it has none of these."""
    return next((one for one in LAYOUTS if any(re.fullmatch(one.mark, key) for key in state)), None)


def usual_colours(layout: Layout, stride_in_1x1: bool) -> Colours:
    """The order of colours that a file's first convolution reads, as far as its project has one: BGR where it may have
    begun from weights of Caffe, which have the stride in the 1x1 convolution.
    """
    return "bgr" if layout == DETECTRON2 or (layout == MMDETECTION and stride_in_1x1) else "rgb"


def rename(layout: Layout, key: str) -> str | None:
    """Our key for one of theirs; None for one that is not read."""
    for pattern, ours, shift in layout.renames:
        found = re.fullmatch(pattern, key)
        if found:
            first, *rest = found.groups()
            return ours.format(str(int(first) + shift) if shift else first, *rest)
    return None


def convert(layout: Layout, state: dict[str, Tensor], category_ids: list[int | str]) -> dict[str, Tensor]:
    """Weights of a layout under our keys and in our order of classes, the background last.

    Args:
        state: theirs.
        category_ids: of the data's classes, to pick the rows where the file's 90 are COCO's raw ids.

    Raises:
        ValueError: the file is of torchvision's V2 model, or has keys that are not read.
    """
    if layout == TORCHVISION and any(re.fullmatch(_V2, key) for key in state):
        raise ValueError(
            "these are weights of torchvision's maskrcnn_resnet50_fpn_v2, whose neck, RPN and heads are built "
            "differently; only V1 (maskrcnn_resnet50_fpn) is read"
        )
    names = {key: rename(layout, key) for key in state if not re.fullmatch(layout.ignored, key)}
    unread = [key for key, name in names.items() if name is None]
    if unread:
        more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
        raise ValueError(
            f"{', '.join(unread[:_NAMED])}{more} have no place in {layout.project} as it is read here; cascades, C4, "
            "DC5, deformable convolutions, keypoints, other backbones and older versions are not read"
        )
    found = {name: state[key] for key, name in names.items() if name is not None}
    # torchvision keeps ConvNeXt's as [C, 1, 1].
    found = {key: value.flatten() if key.endswith(".gamma") else value for key, value in found.items()}
    convs = sum(bool(re.fullmatch(r"box_head\.trunk\.\d\.0\.weight", key)) for key in found)
    if convs:  # the fully connected layers come after them, in a part of their own
        layers = r"box_head\.trunk\.(\d\.(?:weight|bias))"
        found = {re.sub(rf"^{layers}$", rf"box_head.trunk.{convs}.\1", key): value for key, value in found.items()}
    if layout.background_first and "box_head.logits.bias" in found:
        classes = found["box_head.logits.bias"].shape[0] - 1
        raw = classes == 90 and list(category_ids) == COCO_IDS
        rows = [i - 1 for i in COCO_IDS] if raw else list(range(classes))
        for leaf in ("weight", "bias"):
            logits, deltas = found[f"box_head.logits.{leaf}"], found[f"box_head.deltas.{leaf}"]
            found[f"box_head.logits.{leaf}"] = torch.cat((logits[1:][rows], logits[:1]))
            found[f"box_head.deltas.{leaf}"] = deltas.unflatten(0, (-1, 4))[1:][rows].flatten(0, 1)
            if f"mask_head.logits.{leaf}" in found:  # or it is a Faster R-CNN's, which is refused for what it lacks
                found[f"mask_head.logits.{leaf}"] = found[f"mask_head.logits.{leaf}"][1:][rows]
    return found
