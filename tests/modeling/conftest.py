"""A tiny model and a batch for it, both deterministic."""

from collections.abc import Callable

import pytest
import torch

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import MASK_CROP, Batch, Targets

# Frozen norms, so that images of a batch do not touch each other.
TINY = [
    "model.backbone.width=8",
    "model.backbone.norm=frozen",
    "model.neck.channels=16",
    "model.neck.norm=null",
    "model.mask_head.norm=null",
    "model.box_head.trunk.norm=null",
    "model.mask_head.channels=[16]",
    "model.mask_head.upsampled_channels=16",
    "model.box_head.trunk.features=[32]",
    "model.box_head.max_detections=10",
    "model.sampler.batch_per_image=16",
    "model.sampler.mask_slots=12",
]
CLASSES = 4
HEIGHT, WIDTH = 64, 96


@pytest.fixture(scope="session")
def build_model() -> Callable[..., MaskRCNN]:
    def make(*overrides: str, seed: int = 0, image_channels: int = 3) -> MaskRCNN:
        plain = to_plain(compose([*TINY, *overrides]))
        torch.manual_seed(seed)
        model = build(plain["model"], [])(CLASSES, image_channels)
        # Away from zero, as if it had learnt something: proposals and detections then differ from anchors.
        for parameter in (model.rpn.deltas.weight, model.rpn.objectness.weight, model.box_head.logits.weight):
            torch.nn.init.normal_(parameter, std=0.3)
        return model

    return make


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    def make(counts: list[int], slots: int = 6, sizes: list[tuple[int, int]] | None = None) -> Batch:
        generator = torch.Generator().manual_seed(5)
        batch = len(counts)
        images = torch.randint(0, 256, (batch, 3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)
        corners = torch.rand(batch, slots, 2, generator=generator) * 30
        extent = torch.rand(batch, slots, 2, generator=generator) * 25 + 5
        masks = torch.randint(0, 2, (batch, slots, MASK_CROP, MASK_CROP), generator=generator, dtype=torch.uint8) * 255
        valid = torch.arange(slots) < torch.tensor(counts)[:, None]
        targets = Targets(
            boxes=torch.where(valid[..., None], torch.cat((corners, corners + extent), dim=-1), 0),
            labels=torch.where(valid, torch.randint(0, CLASSES, (batch, slots), generator=generator), 0),
            masks=torch.where(valid[..., None, None], masks, 0),
            mask_sizes=torch.where(valid, MASK_CROP, 0)[..., None].repeat(1, 1, 2),
            valid=valid,
        )
        image_sizes = torch.tensor(sizes or [(HEIGHT, WIDTH)] * batch)
        keys = torch.arange(batch) * 7919 + 1
        return Batch(images, image_sizes, image_sizes, torch.arange(batch), keys, targets)

    return make
