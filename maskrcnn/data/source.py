"""Where a data set lies: a directory of pictures and a COCO annotation file for each split."""

from pathlib import Path
from typing import NamedTuple, Protocol


class Split(NamedTuple):
    """One part of a data set."""

    images: Path  # directory that the annotation file's `file_name`s start from
    annotations: Path  # COCO instance annotations, JSON


class Splits(NamedTuple):
    """The parts of a data set."""

    train: Split
    val: Split


class Source(Protocol):
    """Anything that can say where a data set lies below a root directory, and write it there if need be."""

    def prepare(self, root: Path) -> None:
        """Makes sure that the data set is there. Called in one process only."""

    def splits(self, root: Path) -> Splits:
        """Where the parts lie."""


class CocoSource:
    """A data set that is already on disk.

    Args:
        train_images, train_annotations, val_images, val_annotations: paths, relative to the root (or absolute).
    """

    def __init__(self, *, train_images: str, train_annotations: str, val_images: str, val_annotations: str) -> None:
        self.train_images = train_images
        self.train_annotations = train_annotations
        self.val_images = val_images
        self.val_annotations = val_annotations

    def prepare(self, root: Path) -> None:
        """Checks that all four paths exist.

        Raises:
            FileNotFoundError: one does not; the message names it and the key to set.
        """
        for part, split in zip(("train", "val"), self.splits(root), strict=True):
            if not split.images.is_dir():
                raise FileNotFoundError(f"no directory {split.images}: set data.root or data.source.{part}_images")
            if not split.annotations.is_file():
                raise FileNotFoundError(f"no file {split.annotations}: set data.root or data.source.{part}_annotations")

    def splits(self, root: Path) -> Splits:
        return Splits(
            Split(root / self.train_images, root / self.train_annotations),
            Split(root / self.val_images, root / self.val_annotations),
        )
