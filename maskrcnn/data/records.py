"""The pictures of a data set and their annotations: one file of flat arrays, mapped into memory.

Workers share what they read of it. Lists of objects would not stay shared: counting references writes to them, so that
in time every worker holds its own copy (pytorch issue 13246).
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from maskrcnn.data.segmentation import rasterise

TEXT = ("utf-8", "surrogatepass")  # JSON can hold halves of characters, which no file system does


class Instances(NamedTuple):
    """Annotated regions of one picture."""

    labels: np.ndarray  # [n] int64, 0..K-1
    boxes: np.ndarray  # [n, 4] float64: x, y, width, height in pixels of the picture, as COCO has them
    areas: np.ndarray  # [n] float64, pixels
    masks: list[bytes]  # compressed run lengths of COCO


class Record(NamedTuple):
    """One picture of a data set."""

    id: int | str  # as in the file
    name: str  # of the picture's file, as in the file: from the folder of pictures on
    path: Path
    height: int
    width: int
    objects: Instances
    crowds: Instances  # groups that are not told apart: not learnt, ignored by the evaluation


class Picture(NamedTuple):
    """An entry of 'images'."""

    id: int | str
    name: str  # of the file, from the folder of pictures on
    height: int
    width: int


class Annotations(NamedTuple):
    """Usable entries of 'annotations', as columns [M]."""

    picture: np.ndarray  # int64, positions in the list of pictures
    label: np.ndarray  # int64
    crowd: np.ndarray  # bool
    boxes: np.ndarray  # [M, 4] float64
    areas: np.ndarray  # float64
    masks: list[bytes]  # as `segmentation.store` gives them


def join_annotations(parts: list[Annotations]) -> Annotations:
    """At least one part, one after the other."""
    picture, label, crowd, boxes, areas = (np.concatenate(column) for column in list(zip(*parts))[:5])
    return Annotations(picture, label, crowd, boxes, areas, [mask for part in parts for mask in part.masks])


class Records(Sequence[Record]):
    """Pictures with their annotations, read from a file that `write_records` has written.

    Args:
        file: that file.
        images: directory that the pictures' names start from.

    Attributes:
        sizes: [N, 2] int64 heights and widths of the pictures.
        picture, label, crowd: [M] int64, int64 and bool of all annotations: the position of their picture, their class,
            whether they are crowd regions.
        boxes: [M, 4] float64, as those of `Instances`.
    """

    def __init__(self, file: Path, images: Path) -> None:
        self.file, self.images = file, images
        columns = torch.load(file, mmap=True, weights_only=True)["columns"]
        column = {name: values.numpy() for name, values in columns.items()}
        self.picture, self.label, self.crowd = column["picture"], column["label"], column["crowd"]
        self._names = Texts(column["names"], column["name_ends"])
        self._ids = Texts(column["ids"], column["id_ends"])
        self._masks = Texts(column["masks"], column["mask_ends"])
        self.sizes, self.boxes, self._areas = column["sizes"], column["boxes"], column["areas"]
        self._starts = np.searchsorted(self.picture, np.arange(len(self) + 1))

    def __reduce__(self) -> tuple[type["Records"], tuple[Path, Path]]:
        return Records, (self.file, self.images)  # to a worker goes the path, not what lies there

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self))[index]  # IndexError beyond the end, which ends a loop over this sequence
        rows = np.arange(self._starts[index], self._starts[index + 1])
        crowd = self.crowd[rows]
        height, width = self.sizes[index].tolist()
        name = self._names[index].decode(*TEXT)
        return Record(
            id=json.loads(self._ids[index]),
            name=name,
            path=self.images / name,
            height=height,
            width=width,
            objects=self._instances(rows[~crowd], height, width),
            crowds=self._instances(rows[crowd], height, width),
        )

    def ids(self) -> list[int | str]:
        """The pictures' ids."""
        return [json.loads(id_) for id_ in self._ids]

    def names(self) -> list[str]:
        """The pictures' file names."""
        return [name.decode(*TEXT) for name in self._names]

    def _instances(self, rows: np.ndarray, height: int, width: int) -> Instances:
        masks = rasterise([self._masks[row] for row in rows.tolist()], height, width)
        return Instances(self.label[rows], self.boxes[rows], self._areas[rows], masks)


class Texts(Sequence[bytes]):
    """Byte strings, one behind the other.

    Args:
        data: [bytes] uint8; ends: [n] int64, where each ends.
    """

    def __init__(self, data: np.ndarray, ends: np.ndarray) -> None:
        self.data, self.ends = data, ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: Any) -> Any:
        start = self.ends[index - 1] if index else 0
        return self.data[start : self.ends[index]].tobytes()


def write_records(file: Path, pictures: list[Picture], annotations: Annotations, content: dict[str, Any]) -> None:
    """Writes what `Records` reads. The file appears as a whole or not at all.

    Args:
        file: to be written.
        pictures: in the order of the records.
        annotations: in any order; those of a picture stay in theirs.
        content: what else to keep, of plain values.
    """
    order = np.argsort(annotations.picture, kind="stable")
    columns: dict[str, np.ndarray] = {
        "sizes": np.array([(p.height, p.width) for p in pictures], np.int64),
        **{name: column[order] for name, column in annotations._asdict().items() if name != "masks"},
    }
    texts = {
        ("ids", "id_ends"): [json.dumps(p.id).encode() for p in pictures],
        ("names", "name_ends"): [p.name.encode(*TEXT) for p in pictures],
        ("masks", "mask_ends"): [annotations.masks[row] for row in order.tolist()],
    }
    for (data, ends), values in texts.items():
        columns[data] = np.frombuffer(bytearray().join(values), np.uint8)
        columns[ends] = np.cumsum([len(value) for value in values], dtype=np.int64)
    tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
    handle, partial = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save({"columns": tensors, "content": content}, stream)
        os.replace(partial, file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def read_content(file: Path) -> dict[str, Any]:
    """What `write_records` was given to keep besides."""
    content: dict[str, Any] = torch.load(file, mmap=True, weights_only=True)["content"]
    return content
