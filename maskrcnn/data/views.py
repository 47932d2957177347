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


class Shown(Sequence[Record]):
    """What a view shows of the pictures of one file.

    Args:
        records: of the file; indices: [n] int64, positions of those that are shown, in this order.
        labels: [K] int64, the label under which objects of each class of the file are shown, -1 where they are not.
    """

    def __init__(self, records: Records, indices: np.ndarray, labels: np.ndarray) -> None:
        self.records, self.indices, self.labels = records, indices, labels
        self._view = Relabelled(Chosen(records, indices), labels)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self._view[index]

    def ids(self) -> list[int | str]:
        """The pictures' ids in the file."""
        ids = self.records.ids()
        return [ids[index] for index in self.indices]

    def names(self) -> list[str]:
        """The pictures' file names."""
        names = self.records.names()
        return [names[index] for index in self.indices]


def find_shown(records: Sequence[Record]) -> list[Shown]:
    """What a view shows of each file, one after the other, also of one of which it shows nothing.

    Args:
        records: as they were read, or views of such.
    """
    match records:
        case Chosen():
            parts = find_shown(records.records)
            starts = np.cumsum([0] + [len(part) for part in parts])
            chosen = []
            for part, start, end in zip(parts, starts, starts[1:]):
                own = records.indices[(records.indices >= start) & (records.indices < end)] - start
                chosen.append(Shown(part.records, part.indices[own], part.labels))
            return chosen
        case Relabelled():
            new = np.append(records.labels, -1)  # -1 stays
            return [Shown(part.records, part.indices, new[part.labels]) for part in find_shown(records.records)]
        case Joined():
            return [shown for part in records.parts for shown in find_shown(part)]
    assert isinstance(records, Records)
    classes = int(records.label.max(initial=-1)) + 1  # that have an annotation
    return [Shown(records, np.arange(len(records)), np.arange(classes))]


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
