"""Pictures of a data set seen through arrays: chosen, relabelled, joined. Nothing is copied, and the annotations of a
picture are changed when they are asked for, so that workers share what was read.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from maskrcnn.data.census import Census, join_censuses, read_census
from maskrcnn.data.records import Instances, Record, Records


class Chosen(Sequence[Record]):
    """Some of the pictures.

    Args:
        records: all pictures; indices: [n] int64, positions of those to show, in this order.
    """

    def __init__(self, records: Sequence[Record], indices: np.ndarray) -> None:
        self.records, self.indices = records, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.records[int(self.indices[index])]


class Relabelled(Sequence[Record]):
    """All pictures, with other labels.

    Args:
        records: the pictures; labels: [K] int64, the new label of each old one, -1 where its objects and crowd regions
            are left out.
    """

    def __init__(self, records: Sequence[Record], labels: np.ndarray) -> None:
        self.records, self.labels = records, labels

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        record = self.records[index]
        return record._replace(objects=self._relabel(record.objects), crowds=self._relabel(record.crowds))

    def _relabel(self, instances: Instances) -> Instances:
        labels = self.labels[instances.labels]
        kept = np.flatnonzero(labels >= 0)
        masks = [instances.masks[i] for i in kept]
        return Instances(labels[kept], instances.boxes[kept], instances.areas[kept], masks)


class Joined(Sequence[Record]):
    """The pictures of several data sets, one set after the other.

    Args:
        parts: by name of the set. The id of a picture becomes "set/id" where there are several, for ids may collide.
    """

    def __init__(self, parts: dict[str, Sequence[Record]]) -> None:
        self.names, self.parts = list(parts), list(parts.values())
        self.ends = np.cumsum([len(part) for part in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self))[index]  # from the end, where negative; IndexError, where outside
        part = int(np.searchsorted(self.ends, index, side="right"))
        record = self.parts[part][index - int(self.ends[part])]  # counted from the end of the part
        return record._replace(id=f"{self.names[part]}/{record.id}") if len(self.parts) > 1 else record


def take_census(records: Sequence[Record]) -> Census:
    """What pictures hold, from arrays alone.

    Args:
        records: as they were read, or views of such.
    """
    match records:
        case Chosen():
            return take_census(records.records).choose(records.indices)
        case Relabelled():
            return take_census(records.records).relabel(records.labels)
        case Joined():
            return join_censuses([take_census(part) for part in records.parts])
    assert isinstance(records, Records)
    return read_census(records)
