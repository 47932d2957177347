"""What is drawn of a sample's lessons is what the losses learn from."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.draw_lessons import draw_lessons, make_lesson
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.boxes import iou
from maskrcnn.structures import Batch
from maskrcnn.visualize.lesson import lesson_row
from maskrcnn.visualize.scene import LEVELS, NEGATIVE
from maskrcnn.visualize.view import whole


@pytest.fixture(scope="module")
def data(open_shapes: Callable[..., CocoDataModule]) -> CocoDataModule:
    return open_shapes()


@pytest.fixture(scope="module")
def model() -> MaskRCNN:
    return build(to_plain(compose([]))["model"], [])(4, 3)


@pytest.fixture(scope="module")
def batch(data: CocoDataModule) -> Batch:
    return next(iter(data.train_dataloader()))


def test_anchors_are_sorted_by_the_rule_of_the_first_stage(model: MaskRCNN, batch: Batch) -> None:
    filled = [position for position in range(4) if batch.targets.valid[position].any()]
    assert len(filled) > 1
    for position in filled:
        lesson = make_lesson(model, batch, position, "a")
        objects = batch.targets.boxes[position][batch.targets.valid[position]]
        overlap = iou(torch.from_numpy(lesson.anchors)[:, None], objects[None]).numpy()  # [A, n]
        best = overlap.max(axis=1)
        by_threshold = best >= 0.7
        best_of_object = ((overlap == overlap.max(axis=0)) & (overlap > 0)).any(axis=1)
        np.testing.assert_array_equal(lesson.positive, by_threshold | best_of_object)
        np.testing.assert_array_equal(lesson.positive & lesson.reached, by_threshold)
        np.testing.assert_array_equal(lesson.negative, (best < 0.3) & ~lesson.positive)
        assert lesson.positive[lesson.sample].sum() == min(lesson.positive.sum(), 64)
        assert len(lesson.sample) == 128 and (lesson.positive | lesson.negative)[lesson.sample].all()


def test_the_sample_is_the_one_that_the_loss_counts(model: MaskRCNN, batch: Batch) -> None:
    drawn = sum(len(make_lesson(model, batch, position, "a").sample) for position in range(4))
    assert drawn == model.counts(batch)[0]


def test_a_mask_to_learn_has_the_area_of_the_object(model: MaskRCNN, batch: Batch) -> None:
    for position in range(4):
        lesson = make_lesson(model, batch, position, "a")
        for mask, box, bitmap in zip(lesson.masks, lesson.instances.boxes, lesson.instances.masks or []):
            width, height = box[2:] - box[:2]
            assert mask.mean() * width * height == pytest.approx(np.asarray(bitmap).sum(), rel=0.05, abs=4)


def test_panels_show_them(model: MaskRCNN, batch: Batch) -> None:
    lesson = make_lesson(model, batch, 0, "a")
    row = lesson_row(lesson, ["a", "b", "c", "d"])
    assert row.title == f"a: {len(lesson.instances.boxes)} objects" and len(row.panels) == 4
    view = whole(*lesson.picture.shape[:2], row.panels[0].drawing.shape[:2])
    (reached,) = np.flatnonzero(lesson.positive & lesson.reached)[:1]
    left, _, right, bottom = lesson.anchors[reached]
    middle = np.array([(left + right) / 2, bottom])  # of the lower edge
    column, line = view.place(middle).round().astype(int)
    around = row.panels[1].drawing[max(line - 2, 0) : line + 2, column].astype(int)
    assert np.abs(around - np.array(LEVELS[lesson.levels[reached]])).sum(axis=1).min() < 130
    grey = (row.panels[2].drawing == np.array(NEGATIVE)).all(axis=2).sum()
    assert grey > 100 > (row.panels[0].drawing == np.array(NEGATIVE)).all(axis=2).sum()


def test_sheets_of_three_samples_each(data: CocoDataModule, model: MaskRCNN, tmp_path: Path) -> None:
    paths = draw_lessons(data, model, 4, tmp_path)
    assert [path.name for path in paths] == ["lessons_1.png", "lessons_2.png"]
    three, one = (cv2.imread(str(path)).shape for path in paths)
    assert three[0] - one[0] == 2 * (one[0] - 72)  # rows of equal height under a heading of 72


def test_a_picture_without_objects_teaches_negatives(model: MaskRCNN, batch: Batch) -> None:
    empty = batch._replace(targets=batch.targets._replace(valid=torch.zeros_like(batch.targets.valid)))
    lesson = make_lesson(model, empty, 0, "a")
    assert not lesson.positive.any() and lesson.negative.all() and len(lesson.sample) == 128
    assert len(lesson_row(lesson, ["a", "b", "c", "d"]).panels) == 3
