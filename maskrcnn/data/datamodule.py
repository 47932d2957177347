"""The data path as Lightning takes it."""

import warnings
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.class_map import ClassMap
from maskrcnn.data.collate import Collate, check_shared
from maskrcnn.data.copy_paste import CopyPaste
from maskrcnn.data.dataset import InstanceDataset
from maskrcnn.data.order import EpochOrder
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import Sizing, canvas_side
from maskrcnn.data.sampler import Address, EpochSampler, InOrder
from maskrcnn.data.selection import Selection
from maskrcnn.data.source import Source, Split, Splits
from maskrcnn.data.stretch import Stretch
from maskrcnn.data.transforms import Augmentation, Sample
from maskrcnn.data.views import take_census
from maskrcnn.data.window import WindowLoader
from maskrcnn.data.worker_signals import leave_signals


class CocoDataModule(LightningDataModule):
    """Batches of a data set in COCO's format.

    The Trainer must run with `use_distributed_sampler=False`: the order is ours, also over ranks.

    Args:
        root: directory that the source's paths start from.
        source: where the data set lies below it.
        channels, max_value, stretch: see `PictureReader`.
        resize: the size at which the network sees pictures.
        transforms, paste, min_visible: augmentation of the training pictures, see `Augmentation`; the transforms come
            before the resize.
        seed: of the run, from 0 on: of the order and the augmentation.
        shuffle: training pictures in a new order each epoch; false keeps them in order, to look for trouble.
        batch_size, val_batch_size: pictures in a batch of one process.
        workers: processes that make the samples; 0 makes them in the training process.
        canvases, object_slots: see `Collate`.
        fold, folds, val_fraction, fold_group, fold_seed, fraction, class_map, repeat_threshold: see `Selection`.
        group_by_aspect: make the training batches, over all ranks, of pictures that are higher than wide or of others,
            as torchvision and Detectron2 do: less padding. One batch an epoch may be mixed; without effect where
            `shuffle` is false.

    Attributes:
        read: reads the pictures.
        training: whether training pictures are needed; where not, to be set before `prepare_data`, the training file
            is left alone unless validation depends on it, and there are no `train_annotations` and no `order`.
        window: training batches to hand over with the first of them, see `WindowLoader`; 1 for plain batches.

    Attributes (after `setup`):
        classes: name of each label.
        train_annotations, val_annotations: the parts of the data set.
        order: of the training samples.
        selection_notes: what selection did, for people; empty where it did nothing.
    """

    classes: tuple[str, ...]
    train_annotations: CocoAnnotations
    val_annotations: CocoAnnotations
    order: EpochOrder
    selection_notes: list[str]

    def __init__(
        self,
        *,
        root: str,
        source: Source,
        channels: int,
        max_value: int,
        stretch: Stretch | None,
        resize: Sizing,
        transforms: list[albumentations.BasicTransform],
        paste: CopyPaste | None,
        min_visible: float,
        seed: int,
        shuffle: bool,
        batch_size: int,
        val_batch_size: int,
        workers: int,
        canvases: list[tuple[int, int]],
        object_slots: list[int],
        fold: int | None,
        folds: int | None,
        val_fraction: float | None,
        fold_group: str | None,
        fold_seed: int,
        fraction: float,
        class_map: ClassMap | None,
        repeat_threshold: float,
        group_by_aspect: bool,
    ) -> None:
        super().__init__()
        if seed < 0:
            raise ValueError(f"seed is {seed}; give 0 or more")
        for name, number in (("batch_size", batch_size), ("val_batch_size", val_batch_size)):
            if number < 1:
                raise ValueError(f"data.{name} is {number}; give 1 or more")
        if workers < 0:
            raise ValueError(f"data.workers is {workers}; give 0, which makes samples in the training process, or more")
        self.root = Path(root)
        self.source = source
        self.read = PictureReader(channels, max_value, stretch)
        self.training = True
        self.window = 1
        self.resize = resize
        self.augmentation = Augmentation(transforms, paste, min_visible)
        self.seed = seed
        self.shuffle = shuffle
        self.batch_size = batch_size
        self.val_batch_size = val_batch_size
        self.workers = workers
        self.collate = Collate(canvases, object_slots)
        self.selection = Selection(
            fold, folds, val_fraction, fold_group, fold_seed, fraction, class_map, repeat_threshold
        )
        self.group_by_aspect = group_by_aspect

    def prepare_data(self) -> None:
        """Makes sure that the data set is there; see `Source.prepare`.

        Raises:
            ValueError: of `Selection.check`, or of the source.
        """
        sources = self.source.splits(self.root)
        self.selection.check(sources)
        alone = self._alone(sources)
        if alone is None or not (alone.images.is_dir() and alone.annotations.is_file()):
            self.source.prepare(self.root)

    def setup(self, stage: str | None = None) -> None:
        """Reads and checks the annotations, once.

        Raises:
            ValueError: of `Selection.read`; or an epoch would be empty.
        """
        if hasattr(self, "classes"):
            return
        sources = self.source.splits(self.root)
        alone = self._alone(sources)
        if alone is not None:
            self.val_annotations, self.selection_notes = self.selection.read_alone(alone), []
            self.classes = self.val_annotations.classes
            return
        selected = self.selection.read(sources)
        portrait = selected.census.portrait if self.group_by_aspect else None
        self.order = EpochOrder(selected.factors, portrait, self.seed, self.shuffle)
        if not len(self.order):
            raise ValueError(f"an epoch of {len(selected.factors)} training pictures is empty: raise the sets' weights")
        self.selection_notes = selected.notes + (selected.learning_notes if self.training else [])
        if self.training and len(self.order) != len(selected.factors):
            self.selection_notes.append(f"{len(self.order)} samples an epoch")
        most, slots = int(selected.census.counts.max()), self.collate.object_slots[-1]
        if self.training and most > slots:
            warnings.warn(
                f"{selected.train.file} has up to {most} objects in a picture, more than the {slots} of "
                f"data.object_slots: the smallest are left out in training; list {most} in data.object_slots too",
                stacklevel=2,
            )
        self.train_annotations, self.val_annotations = selected.train, selected.val
        self.classes = selected.train.classes
        if self.training:
            self._warn_of_canvases()

    def _warn_of_canvases(self) -> None:
        """Tells what canvas is missing, in place of a run's end at the first batch that needs it."""
        both = (self.train_annotations.records, self.val_annotations.records)
        train, val = (np.unique(take_census(records).sizes, axis=0).tolist() for records in both)
        sizes = [self.resize.largest(height, width) for height, width in train]
        sizes += [self.resize.view(height, width, None).size for height, width in val]
        height, width = np.array(sizes).max(axis=0).tolist()  # which a batch may hold at once
        if self.collate.canvas(height, width) is None:
            warnings.warn(
                f"no canvas holds pictures up to {height} pixels high and {width} wide, as data.resize makes them, and "
                "the run would end at a batch that has both: add "
                f"{[canvas_side(height), canvas_side(width)]} to data.canvases",
                stacklevel=3,
            )

    def _alone(self, sources: list[Splits]) -> Split | None:
        """The validation file, where it is all that is needed."""
        return None if self.training else self.selection.alone(sources)

    def validation_files(self) -> list[Split]:
        """The files that the validation pictures come from: with folds, the training files."""
        sources = self.source.splits(self.root)
        return [one.train if self.selection.divides or one.val is None else one.val for one in sources]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Shuffled and augmented. A last batch that is not full is left out, unless it is the only one."""
        dataset = InstanceDataset(self.train_annotations, self.read, self.seed, self.resize, self.augmentation)
        rank, world_size = self._rank()
        epoch, batch = self._position(world_size)
        sampler = EpochSampler(self.order, self.batch_size, rank, world_size, epoch, batch * self.batch_size)
        kind: type[DataLoader[Sample]] = DataLoader if self.window == 1 else WindowLoader
        loader = self._loader(dataset, sampler, self.batch_size, len(sampler) > self.batch_size, kind)
        if isinstance(loader, WindowLoader):
            loader.window, loader.limit = self.window, self._limited(world_size)
        return loader

    def train_batches(self, world_size: int, limit: float) -> int:
        """Batches that one rank trains on in an epoch, known without making a loader.

        Args:
            limit: Lightning's `limit_train_batches`, a number of batches or, as a float, a share of all.
        """
        batches = max(len(self.order) // world_size // self.batch_size, 1)
        return min(limit, batches) if isinstance(limit, int) else int(batches * limit)

    def val_dataloader(self) -> DataLoader[Sample]:
        """All pictures in order."""
        dataset = InstanceDataset(self.val_annotations, self.read, self.seed, self.resize, None)
        sampler = InOrder(len(dataset), *self._rank())
        return self._loader(dataset, sampler, self.val_batch_size, False, DataLoader)

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _position(self, world_size: int) -> tuple[int, int]:
        """Epoch and batch that training begins with: not the first of the first when a run is resumed.

        Lightning would tell the sampler its epoch, but only after the workers have begun to fetch, and goes on in the
        middle of an epoch with the epoch's first batches.
        """
        if not self.trainer:
            return 0, 0
        batches = self._limited(world_size)
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        done = int(progress.total.processed)  # over all epochs, and without one that an error interrupted
        if done % max(batches, 1):  # Lightning cannot know that this loader goes on where it was
            warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch")
        return divmod(done, max(batches, 1))

    def _limited(self, world_size: int) -> int:
        """Batches of an epoch that Lightning lets pass."""
        return self.train_batches(world_size, self.trainer.limit_train_batches if self.trainer else 1.0)

    def _loader(
        self,
        dataset: InstanceDataset,
        sampler: Sampler[Address],
        batch_size: int,
        drop_last: bool,
        kind: type[DataLoader[Sample]],
    ) -> DataLoader[Sample]:
        if self.workers > 0:
            check_shared()
        return kind(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.workers,
            collate_fn=self.collate,
            pin_memory=torch.cuda.is_available(),
            drop_last=drop_last,
            # Without its own generator, a loader takes a number from the global one each epoch, and a run that is
            # resumed there would go on differently.
            generator=torch.Generator().manual_seed(self.seed),
            persistent_workers=self.workers > 0,
            worker_init_fn=_start,
        )


def _start(worker: int) -> None:
    leave_signals()
