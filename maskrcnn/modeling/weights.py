"""Weights from elsewhere: torchvision's Mask R-CNN (V1) and ImageNet ResNets, by file or by name, and own checkpoints.

A layout carries conventions that weights alone do not show. Loading compares them with the model and stops with the
overrides to use, for a model that disagrees runs without an error and is merely worse.
"""

import re
import urllib.error
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock
from torch import Tensor

from maskrcnn.modeling.layers import FrozenBatchNorm2d
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.tensor_file import read_tensors


class Published(NamedTuple):
    """Where weights were published, and the epsilon that their batch norms were made with."""

    url: str  # the file's name ends in the start of its SHA-256, which the download is checked against
    norm_eps: float


_PYTORCH = "https://download.pytorch.org/models/"
PUBLISHED = {
    "resnet18_imagenet": Published(f"{_PYTORCH}resnet18-f37072fd.pth", 1e-5),
    "resnet34_imagenet": Published(f"{_PYTORCH}resnet34-b627a593.pth", 1e-5),
    "resnet50_imagenet": Published(f"{_PYTORCH}resnet50-0676ba61.pth", 1e-5),
    "resnet50_imagenet_v2": Published(f"{_PYTORCH}resnet50-11ad3fa6.pth", 1e-5),
    "resnet101_imagenet": Published(f"{_PYTORCH}resnet101-63fe2227.pth", 1e-5),
    "resnet101_imagenet_v2": Published(f"{_PYTORCH}resnet101-cd907fc2.pth", 1e-5),
    "resnet152_imagenet": Published(f"{_PYTORCH}resnet152-394f9c45.pth", 1e-5),
    "resnext50_32x4d_imagenet": Published(f"{_PYTORCH}resnext50_32x4d-7cdf4587.pth", 1e-5),
    "resnext101_32x8d_imagenet": Published(f"{_PYTORCH}resnext101_32x8d-8ba56ff5.pth", 1e-5),
    # torchvision evaluates this file with epsilon 0, although it was trained with 1e-5.
    "maskrcnn_resnet50_fpn_coco": Published(f"{_PYTORCH}maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", 0.0),
}
_FILES = {published.url.rpartition("/")[2]: published for published in PUBLISHED.values()}

# torchvision's keys, new and old, to ours.
_RENAMES = [
    (r"backbone\.body\.(.+)", r"backbone.\1"),
    (r"backbone\.fpn\.inner_blocks\.(\d)\.(?:0\.)?(weight|bias)", r"neck.lateral.\1.0.\2"),
    (r"backbone\.fpn\.layer_blocks\.(\d)\.(?:0\.)?(weight|bias)", r"neck.output.\1.0.\2"),
    (r"rpn\.head\.conv\.(?:0\.0\.)?(weight|bias)", r"rpn.conv.0.0.\1"),
    (r"rpn\.head\.cls_logits\.(.+)", r"rpn.objectness.\1"),
    (r"rpn\.head\.bbox_pred\.(.+)", r"rpn.deltas.\1"),
    (r"roi_heads\.box_head\.fc6\.(.+)", r"box_head.trunk.1.\1"),
    (r"roi_heads\.box_head\.fc7\.(.+)", r"box_head.trunk.3.\1"),
    (r"roi_heads\.box_predictor\.cls_score\.(.+)", r"box_head.logits.\1"),
    (r"roi_heads\.box_predictor\.bbox_pred\.(.+)", r"box_head.deltas.\1"),
    (r"roi_heads\.mask_head\.(\d)\.0\.(.+)", r"mask_head.convs.\1.0.\2"),
    (r"roi_heads\.mask_predictor\.conv5_mask\.(.+)", r"mask_head.upsample.\1"),
    (r"roi_heads\.mask_predictor\.mask_fcn_logits\.(.+)", r"mask_head.logits.\1"),
]
# The convolution that reads the picture, of stem=conv7 and of stem=conv3x2.
STEMS = ("backbone.conv1.weight", "backbone.conv1.0.weight")
NAMED = 5  # of what does not fit
# What predicts, and of how many rows it is where it does not tell classes apart.
PREDICTORS = {"box_head.logits.": 0, "box_head.deltas.": 4, "mask_head.logits.": 1}
# COCO's 80 classes carry ids up to 90; torchvision's rows are these raw ids.
COCO_IDS = [i for i in range(1, 91) if i not in {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}]


def _rename(key: str) -> str:
    old_mask = re.fullmatch(r"roi_heads\.mask_head\.mask_fcn(\d)\.(.+)", key)
    if old_mask:  # the old names count from 1
        return f"mask_head.convs.{int(old_mask[1]) - 1}.0.{old_mask[2]}"
    for pattern, ours in _RENAMES:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, ours, key)
    raise ValueError(f"{key} is not a key of torchvision's Mask R-CNN V1")


def from_torchvision(state: dict[str, Tensor], category_ids: list[int | str]) -> dict[str, Tensor]:
    """Torchvision's Mask R-CNN weights under our keys and in our order of classes.

    Args:
        state: torchvision's, V1, with new or old names; class 0 is the background.
        category_ids: of the data's classes, to pick the rows where the file's 90 are COCO's raw ids.

    Raises:
        ValueError: the file is of torchvision's V2 model, or of another one.
    """
    if any(
        re.match(r"backbone\.fpn\.inner_blocks\.0\.1\.|rpn\.head\.conv\.1\.|roi_heads\.box_head\.5\.", key)
        for key in state
    ):
        raise ValueError(
            "these are weights of torchvision's maskrcnn_resnet50_fpn_v2, whose neck, RPN and heads are built "
            "differently; only V1 (maskrcnn_resnet50_fpn) is read"
        )
    converted = {_rename(key): value for key, value in state.items()}
    foreground = converted["box_head.logits.bias"].shape[0] - 1
    rows = [i - 1 for i in COCO_IDS] if foreground == 90 and list(category_ids) == COCO_IDS else list(range(foreground))
    for leaf in ("weight", "bias"):
        logits = converted[f"box_head.logits.{leaf}"]
        converted[f"box_head.logits.{leaf}"] = torch.cat((logits[1:][rows], logits[:1]))
        deltas = converted[f"box_head.deltas.{leaf}"]
        converted[f"box_head.deltas.{leaf}"] = deltas.unflatten(0, (-1, 4))[1:][rows].flatten(0, 1)
        converted[f"mask_head.logits.{leaf}"] = converted[f"mask_head.logits.{leaf}"][1:][rows]
    return converted


def fetch(name: str) -> Path:
    """Downloads published weights into torch's cache, once, checked against the hash in their name.

    Raises:
        ValueError: there is no network; the message says which file to put where. Or the hash is wrong.
    """
    url = PUBLISHED[name].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{path}.lock"):  # the processes of a run start at once: one downloads
            if not path.is_file():
                torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rpartition("-")[2])
    except (urllib.error.URLError, OSError) as error:
        raise ValueError(
            f"weights={name}: {url} cannot be reached ({error}). Put the file at {path}, or use weights=<file>"
        ) from error
    except RuntimeError as error:
        raise ValueError(f"weights={name}: what {url} sent is not the published file ({error})") from error
    return path


def read(path: Path) -> dict[str, Any]:
    """A file of weights, read without running any code of its own.

    Raises:
        ValueError: it is missing, broken, or holds more than tensors and plain values.
    """
    if path.is_dir():
        near = next((file for file in (path / "checkpoints" / "best.ckpt", path / "best.ckpt") if file.is_file()), None)
        raise ValueError(f"weights={path} is a folder; name a file in it{f', such as {near}' if near else ''}")
    if not path.is_file():
        raise ValueError(f"weights={path}: there is no such file, nor a known name; known are {', '.join(PUBLISHED)}")
    loaded = read_tensors(path, f"weights={path}", "a file of weights")
    if not isinstance(loaded, dict):
        raise ValueError(f"weights={path} holds a {type(loaded).__name__}, not a mapping of names to tensors")
    return loaded


def _disagreements(model: MaskRCNN, detector: bool, norm_eps: float | None) -> list[str]:
    """Overrides that bring the model to the conventions of a torchvision file."""
    overrides = []
    if detector:
        if model.pooler.aligned:
            overrides.append("model.pooler.aligned=false")
        if model.pooler.sampling != 2:
            overrides.append("model.pooler.sampling=2")
        if not model.anchors.rounded:
            overrides.append("model.anchors.rounded=true")
        if not model.anchors.measured_strides:
            overrides.append("model.anchors.measured_strides=true")
    norm = getattr(model.backbone, "bn1", None)
    if norm_eps is not None and isinstance(norm, (FrozenBatchNorm2d, torch.nn.BatchNorm2d)) and norm.eps != norm_eps:
        overrides.append(f"model.backbone.norm_eps={norm_eps}")
    return overrides


def spread_colours(stem: Tensor, channels: int) -> Tensor:
    """A stem for RGB as one for C channels: each gets the mean of the three, times 3 / C.

    So a picture whose channels are all alike answers as the grey one does in RGB, whatever C: with one channel the
    weights are the sum of the three. It holds for pixels after normalisation.

    Args:
        stem: [outputs, 3, k, k]; channels: C.
    """
    return stem.sum(dim=1, keepdim=True).div(channels).repeat(1, channels, 1, 1)


class OtherArchitecture(ValueError):
    """Weights that do not fit the model.

    Args:
        path: their file; given: what the user calls it; reasons: why they do not fit, of which the first are named.
    """

    def __init__(self, path: Path, given: str, reasons: list[str]) -> None:
        more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
        super().__init__(
            f"{given} is of another architecture: {'; '.join(reasons[:NAMED])}{more}. "
            "Use the configuration that it was trained with"
        )
        self.path, self.given = path, given


def check_fit(own: dict[str, Tensor], found: dict[str, Tensor], needed: Iterable[str], path: Path, given: str) -> None:
    """Makes sure that weights fit a model.

    Args:
        own: the model's state; found: weights under its keys; needed: the keys that must be found.
        path, given: of `OtherArchitecture`.

    Raises:
        OtherArchitecture: keys or shapes differ; the message names the first few.
    """
    wrong = [f"{k} is missing" for k in needed if k not in found]
    wrong += [f"{k} has no place in the model" for k in found if k not in own]
    wrong += [
        f"{k} is {tuple(v.shape)}, the model's {tuple(own[k].shape)}"
        for k, v in found.items()
        if k in own and own[k].shape != v.shape
    ]
    if wrong:
        raise OtherArchitecture(path, given, wrong)


def load_weights(model: MaskRCNN, weights: str, categories: Mapping[str, int | str]) -> list[str]:
    """Starts a model from weights of elsewhere or of an own checkpoint; the classes may differ.

    Args:
        model: to be changed in place.
        weights: a file, or a name of `PUBLISHED`.
        categories: the data's classes, by label, with their ids.

    Returns:
        What to tell the user: what was loaded, what was made to fit, and what starts anew.

    Raises:
        ValueError: no such file or name, or conventions that disagree.
        OtherArchitecture: of `check_fit`.
    """
    path = fetch(weights) if weights in PUBLISHED else Path(weights)
    state = read(path)
    # A published file is known by its own name too, wherever it lies.
    published = PUBLISHED.get(weights) or _FILES.get(Path(weights).name)
    detector = any(key.startswith("backbone.body.") for key in state)
    if "maskrcnn" in state:
        found = {k.removeprefix("model."): v for k, v in state["state_dict"].items() if k.startswith("model.")}
    elif detector:
        found = from_torchvision(state, list(categories.values()))
    elif "layer1.0.conv1.weight" in state:
        found = {f"backbone.{key}": value for key, value in state.items() if not key.startswith("fc.")}
    else:
        raise ValueError(
            f"weights={weights}: neither torchvision's Mask R-CNN (backbone.body...), nor a ResNet (layer1...), nor a "
            f"checkpoint of this project; it has keys like {', '.join(list(state)[:3])}"
        )
    if "maskrcnn" not in state:
        overrides = _disagreements(model, detector, published.norm_eps if published else None)
        if overrides:
            raise ValueError(
                f"weights={weights} were trained with other conventions than this configuration: "
                f"add {' '.join(overrides)}"
            )
    own = model.state_dict()
    channels = len(model.pixel_mean)
    stems = [k for k in STEMS if k in own and k in found and found[k].shape[1] == 3 and channels != 3]
    found.update({k: spread_colours(found[k], channels) for k in stems})
    theirs = state["maskrcnn"]["classes"] if "maskrcnn" in state else [*categories]
    other_classes = [*theirs] != [*categories]
    anew = sorted(
        k
        for k in found
        for predictor, shared in PREDICTORS.items()
        if k.startswith(predictor) and k in own
        if own[k].shape != found[k].shape or (other_classes and len(own[k]) > shared)
    )
    found = {
        k: v for k, v in found.items() if k not in anew and not (k not in own and k.endswith("num_batches_tracked"))
    }
    whole = [k for k in own if k not in anew and not k.endswith("num_batches_tracked")]
    if all(k.startswith("backbone.") for k in found):  # a classifier: only the backbone is there
        whole = [k for k in whole if k.startswith("backbone.")]
    check_fit(own, found, whole, path, f"weights={weights}")
    model.load_state_dict(found, strict=False)
    notes = [f"loaded {len(found)} tensors from {weights}"]
    notes += [
        f"{key} reads {channels} channels instead of RGB: each with the mean of the three weights, times 3/{channels}"
        for key in stems
    ]
    if anew:
        names = sorted({key.rpartition(".")[0] for key in anew})
        few = ", ".join(theirs[:NAMED]) + (", ..." if len(theirs) > NAMED else "")
        whose = f"the classes {few}" if other_classes else "another number of classes"
        notes.append(f"{', '.join(names)} start anew: the file is for {whose}")
    return notes
