"""Masks as data sets hold them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.data.columns import Columns, read_columns
from maskrcnn.data.records import Instances, Record


def encode(masks: Iterable[np.ndarray]) -> list[bytes]:
    """Compressed run lengths of masks [h, w] uint8."""
    return [coco_mask.encode(np.asfortranarray(mask))["counts"] for mask in masks]


def columns_of(masks: np.ndarray) -> Columns:
    """Masks [n, h, w] uint8 as stretches."""
    return read_columns(encode(masks), *masks.shape[1:])


def extent(mask: np.ndarray) -> list[int]:
    """x1, y1, x2, y2 of the pixels of a mask [h, w], the latter two exclusive."""
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def record_of(masks: np.ndarray, first_label: int = 0) -> Record:
    """A picture whose objects have masks [n, h, w] uint8 and labels in a row."""
    none = Instances(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), [])
    objects = none._replace(labels=np.arange(first_label, first_label + len(masks)), masks=encode(masks))
    return Record(1, "a.png", Path("a.png"), *masks.shape[1:], objects, none)
