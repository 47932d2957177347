"""Annotated pictures as training samples."""

import cv2
import numpy as np
from torch.utils.data import Dataset

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.records import Record
from maskrcnn.data.resize import Sizing
from maskrcnn.data.sampler import Address
from maskrcnn.data.transforms import Augmentation, Sample, make_sample, sample_seed


class InstanceDataset(Dataset[Sample]):
    """Samples addressed by (epoch, index, repeat): each is a function of these and the seed, whichever worker makes it.

    Args:
        annotations: the data set.
        read: reads the pictures.
        seed: of the run, from 0 on.
        resize: the size of the samples.
        augmentation: None for validation.
    """

    def __init__(
        self,
        annotations: CocoAnnotations,
        read: PictureReader,
        seed: int,
        resize: Sizing,
        augmentation: Augmentation | None,
    ) -> None:
        self.annotations = annotations
        self.read = read
        self.seed = seed
        self.resize = resize
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.annotations.records)

    def __getitem__(self, address: Address) -> Sample:
        # Set here because it holds for a process, and this runs in every one: processes are the parallelism.
        cv2.setNumThreads(0)
        epoch, index, repeat = address
        image, record = self._read(index)
        seed = sample_seed(self.seed, epoch, index, repeat)
        return make_sample(image, record, index, seed, self.resize, self.augmentation, self._draw)

    def _read(self, index: int) -> tuple[np.ndarray, Record]:
        record = self.annotations.records[index]
        try:
            return self.read(record.path, (record.height, record.width)), record
        except ValueError as error:
            raise ValueError(f"{error}; inspect_data.py depth=pixels finds all such pictures at once") from error

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, Record]:
        """Any picture of the data set, however often it comes itself; also the one that it is to be pasted on."""
        return self._read(int(rng.integers(len(self))))
