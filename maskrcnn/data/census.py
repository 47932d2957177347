"""What pictures hold, as arrays: selection and sampling look at these instead of the annotations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from maskrcnn.data.records import Records


class Census(NamedTuple):
    """Objects (without crowd regions) and sizes of n pictures."""

    counts: np.ndarray  # [n] int64, objects in each picture
    labels: np.ndarray  # [sum of counts] int64, of all objects, picture after picture
    sizes: np.ndarray  # [n, 2] int64, heights and widths

    @property
    def portrait(self) -> np.ndarray:
        """Whether each picture is higher than wide, [n] bool."""
        higher: np.ndarray = self.sizes[:, 0] > self.sizes[:, 1]
        return higher

    def pictures(self) -> np.ndarray:
        """The picture of each object, [sum of counts] int64."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def choose(self, indices: np.ndarray) -> "Census":
        """Of some of the pictures, [k] int64, in their order."""
        counts = self.counts[indices]
        before, before_chosen = np.cumsum(self.counts) - self.counts, np.cumsum(counts) - counts
        rows = np.repeat(before[indices] - before_chosen, counts) + np.arange(counts.sum())
        return Census(counts, self.labels[rows], self.sizes[indices])

    def relabel(self, labels: np.ndarray) -> "Census":
        """With other labels: [K] int64, the new one of each old one, -1 where its objects are left out."""
        new = labels[self.labels]
        counts = np.bincount(self.pictures()[new >= 0], minlength=len(self.counts))
        return Census(counts, new[new >= 0], self.sizes)


def read_census(records: Records) -> Census:
    """Of pictures as they were read."""
    objects = ~records.crowd
    counts = np.bincount(records.picture[objects], minlength=len(records))
    return Census(counts, records.label[objects], records.sizes)


def join_censuses(parts: Sequence[Census]) -> Census:
    """Of the pictures of one part after the other."""
    return Census(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
