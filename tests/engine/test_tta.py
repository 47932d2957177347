"""Merged views of a picture against a naive merge, and against the mirror image of everything."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.data.resize import resize_picture
from maskrcnn.engine.detector import detect
from maskrcnn.engine.tta import Tta
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import BoxDetections, Detections

TINY = [
    "model.backbone.width=8", "model.neck.channels=16", "model.mask_head.channels=[16]",
    "model.mask_head.upsampled_channels=16", "model.box_head.trunk.features=[32]", "model.box_head.max_detections=12",
    "model.box_head.score_threshold=0.1", "model.box_head.nms_threshold=0.4",
]  # fmt: skip
SIZES = [(60, 90), (64, 71)]  # of the contents of two canvases of 64 x 96


@pytest.fixture(scope="module")
def model() -> MaskRCNN:
    torch.manual_seed(0)
    made: MaskRCNN = build(to_plain(compose(TINY))["model"], [])(4, 3)
    for parameter in (made.rpn.deltas.weight, made.rpn.objectness.weight, made.box_head.logits.weight):
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def pictures() -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]


def batch_of(contents: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    height, width = (-(-max(c.shape[axis] for c in contents) // 32) * 32 for axis in (0, 1))
    images = torch.zeros(len(contents), 3, height, width, dtype=torch.uint8)
    for image, content in zip(images, contents):
        image[:, : content.shape[0], : content.shape[1]] = torch.from_numpy(content.transpose(2, 0, 1).copy())
    return images, torch.tensor([content.shape[:2] for content in contents])


def test_no_views_are_plain_detection(model: MaskRCNN) -> None:
    images, sizes = batch_of(pictures())
    plain, same = detect(model, images, sizes), Tta(flip=False, scales=[1.0])(model, images, sizes)
    assert all(torch.equal(a, b) for a, b in zip(plain, same, strict=True)) and plain.valid.any()


def naive(model: MaskRCNN, contents: list[np.ndarray], flip: bool, scales: list[float], which: int) -> list[Any]:
    """Score, label, box and mean mask of one picture, merged by hand, box after box."""
    entries, views = [], []
    for scale in scales:
        for mirrored in [False, True][: 1 + flip]:
            seen = []
            for content in contents:
                h, w = (int(side * scale + 0.5) for side in content.shape[:2])
                resized = content if scale == 1 else resize_picture(content, (h, w))
                seen.append(resized[:, ::-1] if mirrored else resized)
            images, sizes = batch_of(seen)
            features = model.extract(model.normalise(images, sizes))
            table = model.pooler.table(features)
            found = model.classify(
                table, model.rpn.propose(model.score_anchors(features), sizes, training=False), sizes
            )
            fy, fx = (seen[which].shape[i] / contents[which].shape[i] for i in (0, 1))
            views.append((table, mirrored, fx, fy, seen[which].shape[1]))
            for box, score, label, valid in zip(*(field[which].tolist() for field in found)):
                x1, y1, x2, y2 = box
                if mirrored:
                    x1, x2 = seen[which].shape[1] - x2, seen[which].shape[1] - x1
                if valid:
                    entries.append((score, label, [x1 / fx, y1 / fy, x2 / fx, y2 / fy]))
    kept: list[Any] = []
    for score, label, box in sorted(entries, key=lambda entry: -entry[0]):
        if all(label != other or overlap(box, known) <= 0.4 for _, other, known in kept):
            kept.append((score, label, box))
    results = []
    for score, label, box in kept[:12]:
        masks = []
        for table, mirrored, fx, fy, width in views:
            x1, y1, x2, y2 = box[0] * fx, box[1] * fy, box[2] * fx, box[3] * fy
            there = [width - x2, y1, width - x1, y2] if mirrored else [x1, y1, x2, y2]
            boxes = torch.zeros(len(contents), 1, 4)
            boxes[:] = torch.tensor([0.0, 0.0, 1.0, 1.0])
            boxes[which, 0] = torch.tensor(there)
            ones = torch.ones(len(contents), 1)
            asked = BoxDetections(boxes, ones, torch.full((len(contents), 1), label), ones.bool())
            mask = model.segment(table, asked).masks[which, 0].numpy()
            masks.append(mask[:, ::-1] if mirrored else mask)
        results.append((score, label, box, np.mean(masks, axis=0)))
    return results


def overlap(a: list[float], b: list[float]) -> float:
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@torch.no_grad()
@pytest.mark.parametrize("flip, scales", [(True, [1.0]), (False, [0.5, 1.0]), (True, [1.0, 1.5])])
def test_equals_a_naive_merge(model: MaskRCNN, flip: bool, scales: list[float]) -> None:
    contents = pictures()
    found = Tta(flip=flip, scales=scales)(model, *batch_of(contents))
    for which in range(2):
        expected = naive(model, contents, flip, scales, which)
        kept = found.valid[which]
        assert int(kept.sum()) == len(expected) > 1
        for i, (score, label, box, mask) in enumerate(expected):
            assert found.scores[which, i].item() == pytest.approx(score, rel=1e-4)
            assert found.labels[which, i].item() == label
            assert found.boxes[which, i].tolist() == pytest.approx(box, abs=1e-2)
            np.testing.assert_allclose(found.masks[which, i].numpy(), mask, atol=2e-3)


def test_the_mirror_image_gives_the_mirror_image(model: MaskRCNN) -> None:
    contents = pictures()
    tta = Tta(flip=True, scales=[1.0])
    one: Detections = tta(model, *batch_of(contents))
    other: Detections = tta(model, *batch_of([content[:, ::-1] for content in contents]))
    assert torch.equal(one.valid, other.valid)
    for i, (_, width) in enumerate(SIZES):
        n = int(one.valid[i].sum())
        np.testing.assert_allclose(one.scores[i, :n], other.scores[i, :n], rtol=1e-4)
        mirrored = other.boxes[i, :n][:, [2, 1, 0, 3]] * torch.tensor([-1.0, 1, -1, 1]) + torch.tensor(
            [width, 0, width, 0]
        )
        np.testing.assert_allclose(one.boxes[i, :n], mirrored, atol=1e-2)
        np.testing.assert_allclose(one.masks[i, :n], other.masks[i, :n].flip(-1), atol=2e-3)


@pytest.mark.parametrize("scales", [[], [0.0], [-1.0, 1.0], [float("inf")]])
def test_scales_must_be_positive(scales: list[float]) -> None:
    with pytest.raises(ValueError, match=r"tta\.scales is .*; give one or more numbers above 0"):
        Tta(flip=True, scales=scales)
