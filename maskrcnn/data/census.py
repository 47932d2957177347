"""What pictures hold, counted once: selection and sampling look at these arrays instead of the annotations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from maskrcnn.data.coco import Record


class Census(NamedTuple):
    """Objects (without crowd regions) and sizes of n pictures."""

    counts: np.ndarray  # [n] int64, objects in each picture
    labels: np.ndarray  # [sum of counts] int64, of all objects, picture after picture
    portrait: np.ndarray  # [n] bool, higher than wide

    def pictures(self) -> np.ndarray:
        """The picture of each object, [sum of counts] int64."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


def take_census(records: Sequence[Record]) -> Census:
    """Goes through the pictures once."""
    labels: list[np.ndarray] = [np.zeros(0, np.int64)]
    portrait = np.zeros(len(records), bool)
    for i, record in enumerate(records):
        labels.append(record.objects.labels)
        portrait[i] = record.height > record.width
    counts = np.array([len(one) for one in labels[1:]], np.int64)
    return Census(counts, np.concatenate(labels), portrait)
