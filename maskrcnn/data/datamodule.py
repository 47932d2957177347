"""The data path as Lightning takes it."""

import warnings
from pathlib import Path
from typing import Any

import albumentations
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from maskrcnn.data.coco import CocoAnnotations, read_annotations
from maskrcnn.data.collate import Collate
from maskrcnn.data.dataset import InstanceDataset
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import Resize
from maskrcnn.data.sampler import EpochSampler
from maskrcnn.data.source import Source
from maskrcnn.data.transforms import Augmentation, Sample


class CocoDataModule(LightningDataModule):
    """Batches of a data set in COCO's format.

    The Trainer must run with `use_distributed_sampler=False`: the order is ours, also over ranks.

    Args:
        root: directory that the source's paths start from.
        source: where the data set lies below it.
        channels, max_value: see `PictureReader`.
        resize: the size at which the network sees pictures.
        transforms: augmentation of the training pictures, before the resize.
        seed: of the run, from 0 on: of the order and the augmentation.
        shuffle: training pictures in a new order each epoch; false keeps them in order, to look for trouble.
        batch_size, val_batch_size: pictures in a batch of one process.
        workers: processes that make the samples; 0 makes them in the training process.
        canvases, object_slots: see `Collate`.

    Attributes:
        read: reads the pictures.

    Attributes (after `setup`):
        classes: name of each label.
        train_annotations, val_annotations: the parts of the data set.
    """

    classes: tuple[str, ...]
    train_annotations: CocoAnnotations
    val_annotations: CocoAnnotations

    def __init__(
        self,
        *,
        root: str,
        source: Source,
        channels: int,
        max_value: int,
        resize: Resize,
        transforms: list[albumentations.BasicTransform],
        seed: int,
        shuffle: bool,
        batch_size: int,
        val_batch_size: int,
        workers: int,
        canvases: list[tuple[int, int]],
        object_slots: list[int],
    ) -> None:
        super().__init__()
        if seed < 0:
            raise ValueError(f"seed is {seed}; it must be 0 or more")
        if min(batch_size, val_batch_size) < 1:
            raise ValueError(f"data.batch_size is {batch_size}, val_batch_size {val_batch_size}; give 1 or more")
        self.root = Path(root)
        self.source = source
        self.read = PictureReader(channels, max_value)
        self.resize = resize
        self.augmentation = Augmentation(transforms)
        self.seed = seed
        self.shuffle = shuffle
        self.batch_size = batch_size
        self.val_batch_size = val_batch_size
        self.workers = workers
        self.collate = Collate(canvases, object_slots)

    def prepare_data(self) -> None:
        """Makes sure that the data set is there; runs in one process of a machine."""
        self.source.prepare(self.root)

    def setup(self, stage: str | None = None) -> None:
        """Reads and checks the annotations, once.

        Raises:
            ValueError: of `read_annotations`; or nothing to learn from; or the parts differ in their classes.
        """
        if hasattr(self, "classes"):
            return
        train, val = (read_annotations(split) for split in self.source.splits(self.root))
        if not any(len(record.objects.labels) for record in train.records):
            raise ValueError(f"{train.file} has no usable annotation of a single object; there is nothing to learn")
        if train.classes != val.classes:
            raise ValueError(_difference(train, val))
        self.train_annotations, self.val_annotations = train, val
        self.classes = train.classes

    def train_dataloader(self) -> DataLoader[Sample]:
        """Shuffled and augmented. A last batch that is not full is left out, unless it is the only one."""
        dataset = InstanceDataset(self.train_annotations, self.read, self.seed, self.resize, self.augmentation)
        rank, world_size = self._rank()
        epoch, batch = self._position(world_size)
        seed = self.seed if self.shuffle else None
        sampler = EpochSampler(len(dataset), seed, rank, world_size, epoch, batch * self.batch_size)
        return self._loader(dataset, sampler, self.batch_size, drop_last=len(sampler) > self.batch_size)

    def train_batches(self, world_size: int) -> int:
        """Batches that one rank trains on in an epoch, known without making a loader."""
        return max(len(self.train_annotations.records) // world_size // self.batch_size, 1)

    def val_dataloader(self) -> DataLoader[Sample]:
        """All pictures in order."""
        dataset = InstanceDataset(self.val_annotations, self.read, self.seed, self.resize, None)
        sampler = EpochSampler(len(dataset), None, *self._rank(), epoch=0, start=0)
        return self._loader(dataset, sampler, self.val_batch_size, drop_last=False)

    def test_dataloader(self) -> DataLoader[Sample]:
        """The validation part: COCO's test annotations are not public."""
        return self.val_dataloader()

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _position(self, world_size: int) -> tuple[int, int]:
        """Epoch and batch that training begins with: not the first of the first when a run is resumed.

        Lightning would tell the sampler its epoch, but only after the workers have begun to fetch, and goes on in the
        middle of an epoch with the epoch's first batches.
        """
        if not self.trainer:
            return 0, 0
        limit, batches = self.trainer.limit_train_batches, self.train_batches(world_size)
        batches = min(limit, batches) if isinstance(limit, int) else int(limit * batches)
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        done = int(progress.total.processed)  # over all epochs, and without one that an error interrupted
        if done % max(batches, 1):  # Lightning cannot know that this loader goes on where it was
            warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch")
        return divmod(done, max(batches, 1))

    def _loader(
        self, dataset: InstanceDataset, sampler: EpochSampler, batch_size: int, drop_last: bool
    ) -> DataLoader[Sample]:
        return DataLoader(
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
        )


def _difference(train: CocoAnnotations, val: CocoAnnotations) -> str:
    """What differs in the classes of the two parts, and what to do."""
    facts = [
        f"{one.file} lacks {', '.join(sorted(set(other.classes) - set(one.classes)))}"
        for one, other in ((train, val), (val, train))
        if set(other.classes) - set(one.classes)
    ]
    if not facts:
        facts = [f"{part.file} has the order {', '.join(part.classes)}" for part in (train, val)]
    return (
        f"training and validation differ in their classes: {'; '.join(facts)}. "
        "Write the same 'categories' with the same ids into both files"
    )
