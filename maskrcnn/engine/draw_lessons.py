"""Draws what training learns from its samples: the targets of anchors and masks."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.draw_samples import sample_instances
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.boxes import iou
from maskrcnn.structures import Batch, MaskSamples
from maskrcnn.visualize.instances import to_rgb
from maskrcnn.visualize.lesson import Lesson, lesson_row
from maskrcnn.visualize.panel import sheet
from maskrcnn.visualize.scene import FOLLOWED, LEVELS, NEGATIVE, POSITIVE
from maskrcnn.visualize.sheet import save_png

_ROWS = 3  # samples on a sheet


def draw_lessons(data: CocoDataModule, model: MaskRCNN, count: int, output: Path) -> list[Path]:
    """Draws which anchors answer for the objects of the first training samples, and how a mask is to be learnt. None of
    it depends on weights.

    Args:
        data: after `setup`.
        model: of the configuration, for its anchors and rules.
        count: samples to draw; fewer are drawn where an epoch has fewer.
        output: folder, which is there, for the sheets lessons_1.png, ...

    Returns:
        The sheets' paths.
    """
    rows = [lesson_row(lesson, list(data.classes)) for lesson in islice(_lessons(data, model), count)]
    strides = model.neck.strides
    legend = [("the largest object", FOLLOWED), ("positive", POSITIVE), ("negative", NEGATIVE)]
    legend += [(f"anchors of stride {stride}", LEVELS[i % len(LEVELS)]) for i, stride in enumerate(strides)]
    paths: list[Path] = []
    for start in range(0, len(rows), _ROWS):
        paths.append(output / f"lessons_{len(paths) + 1}.png")
        save_png(paths[-1], sheet("What training learns from", legend, rows[start : start + _ROWS]))
    return paths


def _lessons(data: CocoDataModule, model: MaskRCNN) -> Iterator[Lesson]:
    for batch in data.train_dataloader():
        assert isinstance(batch, Batch)
        for position in range(len(batch.images)):
            name = data.train_annotations.records[int(batch.indices[position])].name
            yield make_lesson(model, batch, position, name)


@torch.no_grad()
def make_lesson(model: MaskRCNN, batch: Batch, position: int, name: str) -> Lesson:
    """What a sample of a batch teaches, as training has it."""
    one = slice(position, position + 1)
    targets = model.prepare_targets(type(batch.targets)(*(field[one] for field in batch.targets)))
    features = model.extract(model.normalise(batch.images[one], batch.image_sizes[one]))
    by_level = model.anchors(features)
    anchors = torch.cat(by_level)
    matches = model.rpn.match(anchors, targets)
    sample = model.rpn.sample(matches, batch.keys[one])
    overlap = iou(anchors, targets.boxes[0][matches.index[0]])
    slots = torch.arange(targets.valid.shape[1])
    own = MaskSamples(torch.zeros_like(slots), targets.boxes[0], targets.labels[0], slots, targets.valid[0])
    height, width = batch.image_sizes[position].tolist()
    rows, columns = batch.images.shape[2:]
    return Lesson(
        name=name,
        picture=to_rgb(batch.images[position, :, :height, :width].permute(1, 2, 0).numpy()).copy(),
        instances=sample_instances(batch.targets, position, (rows, columns)),
        anchors=anchors.numpy(),
        levels=np.repeat(np.arange(len(by_level)), [len(level) for level in by_level]),
        positive=matches.positive[0].numpy(),
        reached=(overlap >= model.rpn.positive_iou).numpy(),
        negative=matches.negative[0].numpy(),
        sample=sample.index[0][sample.valid[0]].numpy(),
        positive_iou=model.rpn.positive_iou,
        negative_iou=model.rpn.negative_iou,
        masks=model.mask_head.targets(own, targets)[targets.valid[0]].numpy(),
    )
