"""Draws training samples as the network gets them: augmented, resized, in a batch."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.few import counted
from maskrcnn.ops.paste import paste_bitmap
from maskrcnn.structures import Batch, Targets
from maskrcnn.visualize.instances import Instances, draw_instances
from maskrcnn.visualize.sheet import captioned, contact_sheet, save_png

_COLUMNS, _ROWS = 3, 3  # pictures on a sheet
_PADDING = 128  # grey, about what padding is to the network: the mean colour


def sample_instances(targets: Targets, position: int, canvas: tuple[int, int]) -> Instances:
    """The objects of one sample of a batch, as arrays to draw.

    Args:
        targets: of the batch.
        position: of the sample in it.
        canvas: height and width of its pictures, padded.
    """
    boxes, labels, masks, sizes = (part[position][targets.valid[position]].numpy() for part in targets[:4])
    bitmaps = [
        paste_bitmap(mask[:rows, :columns] / np.float32(255), box, canvas, "continuous")
        for mask, (rows, columns), box in zip(masks, sizes, boxes)
    ]
    return Instances(boxes, labels, None, bitmaps)


def draw_samples(data: CocoDataModule, count: int, output: Path) -> list[Path]:
    """Draws the first samples that training would see, out of its own batches: what is learnt, on the padded canvas.

    A caption says the picture's file, the size of its content and the number of its objects. Padding is grey.

    Args:
        data: after `setup`.
        count: samples to draw; fewer are drawn where an epoch has fewer.
        output: folder for the sheets samples_1.png, ... of 9 samples each; made if need be.

    Returns:
        The sheets' paths.
    """
    pictures = list(islice(_drawings(data), count))
    output.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for start in range(0, len(pictures), _COLUMNS * _ROWS):
        paths.append(output / f"samples_{len(paths) + 1}.png")
        save_png(paths[-1], contact_sheet(pictures[start : start + _COLUMNS * _ROWS], _COLUMNS))
    return paths


def _drawings(data: CocoDataModule) -> Iterator[np.ndarray]:
    """Each sample of the first epoch, drawn."""
    for batch in data.train_dataloader():
        assert isinstance(batch, Batch)
        for position, (height, width) in enumerate(batch.image_sizes.tolist()):
            picture = batch.images[position].permute(1, 2, 0).numpy().copy()
            picture[height:], picture[:, width:] = _PADDING, _PADDING
            instances = sample_instances(batch.targets, position, picture.shape[:2])
            name = data.train_annotations.records[int(batch.indices[position])].name
            caption = f"{name}, {height} x {width}, {counted(len(instances.labels), 'object')}"
            yield captioned(draw_instances(picture, instances, list(data.classes)), caption)
