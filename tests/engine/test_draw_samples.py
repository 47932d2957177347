from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.draw_samples import draw_samples, sample_instances
from maskrcnn.visualize.instances import draw_instances
from maskrcnn.visualize.sheet import captioned


@pytest.fixture
def data(open_shapes: Callable[..., CocoDataModule]) -> CocoDataModule:
    return open_shapes("augmentation=copy_paste")


def test_sheets_show_the_batches_of_training(data: CocoDataModule, tmp_path: Path) -> None:
    paths = draw_samples(data, 11, tmp_path / "new")
    assert paths == [tmp_path / "new" / "samples_1.png", tmp_path / "new" / "samples_2.png"]
    sheets = [cv2.imread(str(path))[:, :, ::-1] for path in paths]
    batch = next(iter(data.train_dataloader()))
    assert batch.targets.valid.any()
    for i in range(3):  # the first row
        height, width = batch.image_sizes[i].tolist()
        picture = np.full((*batch.images.shape[2:], 3), 128, np.uint8)
        picture[:height, :width] = batch.images[i, :, :height, :width].permute(1, 2, 0)
        instances = sample_instances(batch.targets, i, picture.shape[:2])
        count = int(batch.targets.valid[i].sum())
        assert len(instances.boxes) == len(instances.labels) == count
        name = data.train_annotations.records[int(batch.indices[i])].path.name
        expected = captioned(
            draw_instances(picture, instances, list(data.classes)), f"{name}, {height} x {width}, {count} objects"
        )
        left = i * (expected.shape[1] + 32)
        np.testing.assert_array_equal(sheets[0][: expected.shape[0], left : left + expected.shape[1]], expected)
    assert sheets[0].shape[0] == 3 * (expected.shape[0] + 32) - 32
    assert sheets[1].shape[0] == expected.shape[0]
    assert sheets[1].shape[1] == 2 * expected.shape[1] + 32


def test_masks_are_put_where_the_objects_are(data: CocoDataModule) -> None:
    batch = next(iter(data.val_dataloader()))  # 192 x 256, as annotated
    record = data.val_annotations.records[0]
    instances = sample_instances(batch.targets, 0, (192, 256))
    assert instances.masks is not None
    assert len(instances.masks) == len(record.objects.labels)
    for mask, box, area in zip(instances.masks, record.objects.boxes, record.objects.areas, strict=True):
        rows, columns = np.nonzero(mask)
        extent = [columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()]
        np.testing.assert_allclose(extent, box, atol=1)
        assert abs(mask.sum() - area) <= 0.02 * area + 2


def test_no_more_than_an_epoch(data: CocoDataModule, tmp_path: Path) -> None:
    paths = draw_samples(data, 100, tmp_path)
    assert len(paths) == 2  # 16 pictures
