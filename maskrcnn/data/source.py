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
    val: Split | None  # None: a part of the training pictures is to be taken
    weight: float = 1.0  # how often a training picture comes in an epoch
    name: str = ""  # among those that are mixed

    def parts(self) -> dict[str, Split]:
        """Those that there are, as "train" and "val"; of one that is mixed, after its name."""
        there = {"train": self.train} if self.val is None else {"train": self.train, "val": self.val}
        return {f"{self.name}/{part}" if self.name else part: split for part, split in there.items()}


class Source(Protocol):
    """Anything that can say where a data set lies below a root directory, and write it there if need be."""

    def prepare(self, root: Path) -> None:
        """Makes sure that the data set is there. Every process of a run calls it, several of them at once."""

    def splits(self, root: Path) -> list[Splits]:
        """Where the parts lie, of each data set that it is made of."""


class CocoSource:
    """A data set that is already on disk.

    Args:
        train_images, train_annotations, val_images, val_annotations: paths, relative to the root (or absolute). Both of
            validation are null where a part of the training pictures is to be taken: see `data.folds` and
            `data.val_fraction`.
    """

    def __init__(
        self, *, train_images: str, train_annotations: str, val_images: str | None, val_annotations: str | None
    ) -> None:
        if (val_images is None) != (val_annotations is None):
            raise ValueError(
                f"val_images is {val_images or 'null'}, val_annotations {val_annotations or 'null'}; "
                "give both, or null for both"
            )
        self.train_images = train_images
        self.train_annotations = train_annotations
        self.val_images = val_images
        self.val_annotations = val_annotations

    def prepare(self, root: Path) -> None:
        """Checks that all paths exist.

        Raises:
            FileNotFoundError: one does not; the message names it and the key to set.
        """
        (splits,) = self.splits(root)
        for part, split in splits.parts().items():
            if not split.images.is_dir():
                raise FileNotFoundError(f"no directory {split.images}: set data.root or data.source.{part}_images")
            if not split.annotations.is_file():
                raise FileNotFoundError(f"no file {split.annotations}: set data.root or data.source.{part}_annotations")

    def splits(self, root: Path) -> list[Splits]:
        """Where the parts lie."""
        train = Split(root / self.train_images, root / self.train_annotations)
        if self.val_images is None or self.val_annotations is None:
            return [Splits(train, None)]
        return [Splits(train, Split(root / self.val_images, root / self.val_annotations))]
