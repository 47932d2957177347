"""Values that do not fit together are refused, or announced, when the model is made."""

import functools
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.modeling.mask_rcnn import MaskRCNN


def model(*overrides: str) -> functools.partial[MaskRCNN]:
    made: Any = build(to_plain(compose(overrides))["model"], [])
    return made


class Odd(nn.Module):
    """A backbone that only says what it returns."""

    def __init__(self, channels: tuple[int, ...], strides: tuple[int, ...], image_channels: int) -> None:
        super().__init__()
        self.channels, self.strides = channels, strides


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.box_head.max_detections=201",
            r"max_detections is 201, but only model\.box_head\.pre_nms=200 enter NMS: raise pre_nms",
        ),
        ("model.rpn.negative_iou=0.8", r"negative_iou is 0\.8, above positive_iou 0\.7.*give at most positive_iou"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(override)(1, 3)


@pytest.mark.parametrize(
    ("channels", "strides", "message"),
    [
        ((8,) * 4, (4, 8, 16, 16), r"Odd has the strides \(4, 8, 16, 16\): each must be twice the one before"),
        ((8,) * 4, (8, 16, 32, 64), r"the last at most 32"),
        ((8,) * 3, (4, 8, 16, 32), r"channels \(8, 8, 8\) and strides .* give one of each"),
    ],
)
def test_a_backbone_that_makes_no_pyramid_is_refused(
    channels: tuple[int, ...], strides: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model()(1, 3, backbone=functools.partial(Odd, channels, strides))


def test_a_backbone_or_neck_that_does_not_say_what_it_returns_is_refused() -> None:
    with pytest.raises(ValueError, match="the backbone Identity must say `channels` and `strides` of the maps"):
        model()(1, 3, backbone=lambda channels: nn.Identity())

    def neck(channels: int | None, strides: tuple[int, ...], roi_strides: tuple[int, ...]) -> nn.Module:
        made = nn.Module()
        for name, value in (("channels", channels), ("strides", strides), ("roi_strides", roi_strides)):
            if value is not None:
                setattr(made, name, value)
        return made

    refused = [
        (neck(None, (4,), (4,)), r"the neck Module must say `channels`, `strides` and `roi_strides` of the maps"),
        (neck(8, (4, 8, 16, 32), (4, 16)), r"strides \(4, 8, 16, 32\) and roi_strides \(4, 16\); give one number"),
    ]
    for made, message in refused:
        with pytest.raises(ValueError, match=message):
            model()(1, 3, neck=lambda channels, strides, made=made: made)


@pytest.mark.parametrize(
    ("override", "part", "why"),
    [
        ("model.backbone.width=1000000000000", "backbone", r".*tried to allocate \d+ bytes"),
        ("model.backbone.width=10000000000000000000", "backbone", "Storage size calculation overflowed"),
        ("model.box_head.trunk.features=[1000000000000]", "box_head", r".*tried to allocate \d+ bytes"),
    ],
)
def test_sizes_that_no_memory_has_are_refused(override: str, part: str, why: str) -> None:
    sizes = rf"give it, or the part before it, sizes that fit into memory \(width, .*\); torch says: {why}"
    with pytest.raises(ValueError, match=rf"^model\.{part} cannot be made: {sizes}"):
        model(override)(1, 3)


def test_an_error_of_a_part_itself_is_left_as_it_is() -> None:
    def broken(channels: int) -> nn.Module:
        raise RuntimeError(f"no {channels} today")

    with pytest.raises(RuntimeError, match="^no 3 today$"):
        model()(1, 3, backbone=broken)


def test_a_part_that_is_called_otherwise_than_it_says_is_refused() -> None:
    def alone(*, width: int) -> nn.Module:
        raise AssertionError(width)

    message = r"model\.backbone cannot be made by alone\(3\): too many positional arguments\. The docstring of MaskRCNN"
    with pytest.raises(ValueError, match=message):
        model()(1, 3, backbone=functools.partial(alone, width=3))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (
            "backbone",
            lambda maps: maps[1:],
            r"backbone ResNet says channels .* pixels 3 maps of 64 x 8 x 12, 128 x 4 x 6",
        ),
        ("backbone", lambda maps: maps[::-1], r"but made of 64 x 96 pixels 4 maps of 256 x 2 x 3, 128 x 4 x 6"),
        ("backbone", lambda maps: dict(enumerate(maps)), r"returned a dict; its forward must return a tuple of maps"),
        ("neck", lambda maps: maps[:3], r"the neck FPN says channels \(40, 40, 40, 40\) and strides .* 3 maps of 40 x"),
    ],
)
def test_other_maps_than_a_part_says_are_refused(part: str, change: Any, message: str) -> None:
    made = model()(1, 3).eval()
    made.get_submodule(part).register_forward_hook(lambda module, given, maps: change(maps))
    images, sizes = torch.zeros(1, 3, 64, 96), torch.tensor([[64, 96]])
    with torch.no_grad(), pytest.raises(ValueError, match=message):
        made.detect(images, sizes)


def test_other_anchors_than_the_rpn_scores_are_refused() -> None:
    made = model()(1, 3).eval()
    made.anchors.register_forward_hook(lambda module, given, levels: (levels[0][1:], *levels[1:]))
    with torch.no_grad(), pytest.raises(ValueError, match=r"the anchors Anchors are \[\(383, 4\), .* be \[\(384, 4\)"):
        made.detect(torch.zeros(1, 3, 64, 96), torch.tensor([[64, 96]]))


def test_a_canvas_that_is_no_multiple_of_the_strides_has_its_last_cells_rounded_either_way() -> None:
    made = model("neck=fpn")(1, 3).eval()  # with P6, half a cell more than 352 pixels
    with torch.no_grad():
        assert [list(one.shape[2:]) for one in made.extract(torch.zeros(1, 3, 352, 320))][-2:] == [[11, 10], [6, 5]]


def test_more_detections_than_regions_are_announced() -> None:
    with pytest.warns(UserWarning, match=r"test_post_nms gives 100 regions a picture, fewer than the 101"):
        model("model.box_head.max_detections=101")(1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model("model.box_head.max_detections=100", "model.box_head.pre_nms=100", "model.rpn.negative_iou=0.7")(1, 3)
