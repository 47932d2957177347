"""Weights from elsewhere, by file or by name: those of `layouts`, and own checkpoints.

A layout carries conventions that weights alone do not show. Loading compares them with the model and stops with the
overrides to use, for a model that disagrees runs without an error and is merely worse.
"""

import re
import urllib.error
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from maskrcnn.modeling.layers import FrozenBatchNorm2d
from maskrcnn.modeling.layouts import (
    DETECTRON2,
    LAYOUTS,
    MMDETECTION,
    NOTHING,
    Colours,
    Layout,
    convert,
    find_layout,
    usual_colours,
)
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.predictors import fit_predictors
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
    "convnext_tiny_imagenet": Published(f"{_PYTORCH}convnext_tiny-983f1562.pth", 1e-6),
    "convnext_small_imagenet": Published(f"{_PYTORCH}convnext_small-0c510722.pth", 1e-6),
    "convnext_base_imagenet": Published(f"{_PYTORCH}convnext_base-6075fbad.pth", 1e-6),
    # torchvision evaluates this file with epsilon 0, although it was trained with 1e-5.
    "maskrcnn_resnet50_fpn_coco": Published(f"{_PYTORCH}maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", 0.0),
}
_FILES = {published.url.rpartition("/")[2]: published for published in PUBLISHED.values()}

# The convolution that reads the picture: of a ResNet with stem=conv7, with stem=conv3x2, and of a ConvNeXt.
STEMS = ("backbone.conv1.weight", "backbone.conv1.0.weight", "backbone.downsample_layers.0.0.weight")
NAMED = 5  # of what does not fit


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


def check_there(path: Path) -> None:
    """Makes sure that there is such a file.

    Raises:
        ValueError: there is none, or a folder.
    """
    if path.is_dir():
        near = next((file for file in (path / "checkpoints" / "best.ckpt", path / "best.ckpt") if file.is_file()), None)
        raise ValueError(f"weights={path} is a folder; name a file in it{f', such as {near}' if near else ''}")
    if not path.is_file():
        raise ValueError(f"weights={path}: there is no such file, nor a known name; known are {', '.join(PUBLISHED)}")


def read(path: Path) -> dict[str, Any]:
    """A file of weights, read without running any code of its own.

    Raises:
        ValueError: it is missing, broken, or holds more than tensors and plain values.
    """
    check_there(path)
    loaded = read_tensors(path, f"weights={path}", "a file of weights")
    if not isinstance(loaded, dict):
        raise ValueError(f"weights={path} holds a {type(loaded).__name__}, not a mapping of names to tensors")
    return loaded


def _disagreements(model: MaskRCNN, layout: Layout | None, norm_eps: float | None) -> list[str]:
    """Overrides that bring the model to the conventions of a file.

    Args:
        layout: of a whole detector, or None for a backbone; norm_eps: that it was made with, if that is known.
    """
    overrides = []
    if layout is not None:
        theirs = not layout.aligned  # torchvision's conventions
        if model.pooler.aligned == theirs:
            overrides.append(f"model.pooler.aligned={str(not theirs).lower()}")
        if theirs and model.pooler.sampling != 2:
            overrides.append("model.pooler.sampling=2")
        if model.anchors.rounded != theirs:
            overrides.append(f"model.anchors.rounded={str(theirs).lower()}")
        if model.anchors.measured_strides != theirs:
            overrides.append(f"model.anchors.measured_strides={str(theirs).lower()}")
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
        shapes: of the weights, under the model's keys.
    """

    def __init__(self, path: Path, given: str, reasons: list[str], shapes: dict[str, torch.Size]) -> None:
        more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
        super().__init__(
            f"{given} is of another architecture: {'; '.join(reasons[:NAMED])}{more}. "
            "Use the configuration that it was trained with"
        )
        self.path, self.given, self.shapes = path, given, shapes


def check_fit(own: dict[str, Tensor], found: dict[str, Tensor], needed: Iterable[str], path: Path, given: str) -> None:
    """Makes sure that weights fit a model.

    Args:
        own: the model's state; found: weights under its keys; needed: the keys that must be found.
        path, given: of `OtherArchitecture`.

    Raises:
        OtherArchitecture: keys or shapes differ; the message names the first few.
    """
    parts = {k.partition(".")[0] for k in found}
    missing = [k for k in needed if k not in found]
    wrong = [f"it has no {part}" for part in sorted({k.partition(".")[0] for k in missing} - parts)]
    wrong += [f"{k} is missing" for k in missing if k.partition(".")[0] in parts]
    wrong += [f"{k} has no place in the model" for k in found if k not in own]
    wrong += [
        f"{k} is {tuple(v.shape)}, the model's {tuple(own[k].shape)}"
        for k, v in found.items()
        if k in own and own[k].shape != v.shape
    ]
    if wrong:
        raise OtherArchitecture(path, given, wrong, {k: v.shape for k, v in found.items()})


def _unwrapped(file: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file by name, which training scripts keep beside an optimiser's, or within DataParallel."""
    inner = next((file[key] for key in ("model", "state_dict") if isinstance(file.get(key), Mapping)), file)
    return {
        key.removeprefix("module."): torch.as_tensor(value)
        for key, value in inner.items()
        if isinstance(value, (Tensor, np.ndarray))
    }


def _classes(file: dict[str, Any]) -> list[str]:
    """The names of a file's classes in their order, where it has them: ours and those of MMDetection 2 and 3."""
    about = file.get("maskrcnn") or file.get("meta") or {}
    about = about.get("dataset_meta") or about
    return [str(name) for name in about.get("classes") or about.get("CLASSES") or ()]


class _Found(NamedTuple):
    """What a file holds for a model."""

    tensors: dict[str, Tensor]  # under our keys
    classes: list[str]  # by label, empty where it does not say
    colours: Colours  # that its first convolution reads
    lacks: str  # pattern of our keys that it need not have
    notes: list[str]


def _own(file: dict[str, Any], colours: Colours | None) -> _Found:
    tensors = {k.removeprefix("model."): v for k, v in file["state_dict"].items() if k.startswith("model.")}
    return _Found(tensors, _classes(file), colours or "rgb", NOTHING, [])


def _foreign(
    model: MaskRCNN, file: dict[str, Any], weights: str, category_ids: list[int | str], colours: Colours | None
) -> _Found:
    """Reads a file of another project and compares its conventions with the model's; or this model's weights alone.

    Raises:
        ValueError: it is of none that is known, of another model than is read, or of one with other conventions.
    """
    state = _unwrapped(file)
    layout = find_layout(state)
    plain = {key.removeprefix("model."): value for key, value in state.items()}
    if layout is None and plain.keys() & model.state_dict().keys():  # of a loop of the user's own
        return _Found(plain, _classes(file), colours or "rgb", NOTHING, [])
    if layout is None:
        raise ValueError(
            f"weights={weights}: neither a checkpoint of this project, nor weights of "
            f"{', '.join(one.project for one in LAYOUTS)}; it has keys like {', '.join(list(state or file)[:3])}"
        )
    try:
        tensors = convert(layout, state, category_ids)
    except ValueError as error:
        raise ValueError(f"weights={weights}: {error}") from error
    # A published file is known by its own name too, wherever it lies.
    published = PUBLISHED.get(weights) or _FILES.get(Path(weights).name)
    norm_eps = published.norm_eps if published else layout.norm_eps
    overrides = _disagreements(model, layout if "box_head.logits.weight" in tensors else None, norm_eps)
    if overrides:
        raise ValueError(
            f"weights={weights} were trained with other conventions than this configuration: add {' '.join(overrides)}"
        )
    in_1x1 = bool(getattr(model.backbone, "stride_in_1x1", False))
    colours = colours or usual_colours(layout, in_1x1)
    notes = []
    if layout in (DETECTRON2, MMDETECTION):
        std = [round(value, 3) for value in model.pixel_std.flatten().tolist()]
        notes = [
            f"files of {layout.project} do not say, so that it is taken from here: weights_colours={colours} "
            f"model.pixel_std={std} model.backbone.stride_in_1x1={str(in_1x1).lower()}"
        ]
    return _Found(tensors, _classes(file), colours, layout.lacks, notes)


def _fit_channels(tensors: dict[str, Tensor], colours: Colours, channels: int) -> list[str]:
    """Turns the convolutions that read the picture to RGB, or to as many channels as the model has.

    Args:
        tensors: under our keys; changed in place.

    Returns:
        What to tell the user.
    """
    stems = [key for key in STEMS if key in tensors and tensors[key].shape[1] == 3]
    if colours == "bgr":
        tensors.update({key: tensors[key].flip(1) for key in stems})
    if channels == 3:
        return []
    tensors.update({key: spread_colours(tensors[key], channels) for key in stems})
    return [
        f"{key} reads {channels} channels instead of RGB: each with the mean of the three weights, times 3/{channels}"
        for key in stems
    ]


def load_weights(
    model: MaskRCNN, weights: str, categories: Mapping[str, int | str], colours: Colours | None = None
) -> list[str]:
    """Starts a model from weights of elsewhere or of an own checkpoint; the classes may differ.

    Args:
        model: to be changed in place.
        weights: a file, or a name of `PUBLISHED`.
        categories: the data's classes, by label, with their ids.
        colours: the order that the file's first convolution reads, which is turned to RGB; None for the one that is
            usual with its project, see `layouts.usual_colours`.

    Returns:
        What to tell the user: what was loaded, what was made to fit, and what starts anew.

    Raises:
        ValueError: no such file or name, conventions that disagree, or numbers that are not finite.
        OtherArchitecture: of `check_fit`.
    """
    path = fetch(weights) if weights in PUBLISHED else Path(weights)
    file = read(path)
    if "maskrcnn" in file:
        found = _own(file, colours)
    else:
        found = _foreign(model, file, weights, list(categories.values()), colours)
    own = model.state_dict()
    tensors = {k: v for k, v in found.tensors.items() if k in own or not k.endswith("num_batches_tracked")}
    fitted_channels = _fit_channels(tensors, found.colours, len(model.pixel_mean))
    fitted, anew = fit_predictors(tensors, own, found.classes, [*categories])
    needed = [k for k in own if k in fitted or k not in tensors]  # but predictors that start anew
    needed = [k for k in needed if not k.endswith("num_batches_tracked") and not re.fullmatch(found.lacks, k)]
    if all(k.startswith("backbone.") for k in fitted):  # a classifier: only the backbone is there
        needed = [k for k in needed if k.startswith("backbone.")]
    check_fit(own, fitted, needed, path, f"weights={weights}")
    broken = next((k for k, v in fitted.items() if not v.isfinite().all()), None)
    if broken is not None:
        raise ValueError(f"weights={weights}: {broken} holds NaN or infinity, as a training that diverged leaves")
    model.load_state_dict(fitted, strict=False)
    return [f"loaded {len(fitted)} tensors from {weights}", *found.notes, *fitted_channels, *anew]
