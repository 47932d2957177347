"""Values that do not fit together are refused, or announced, when the model is made."""

import functools
from typing import Any

import pytest
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


def test_more_detections_than_regions_are_announced() -> None:
    with pytest.warns(UserWarning, match=r"test_post_nms gives 100 regions a picture, fewer than the 101"):
        model("model.box_head.max_detections=101")(1, 3)
