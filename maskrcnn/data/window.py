"""The batches of an optimiser step, handed over together with the first of them."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from torch.utils.data import DataLoader

from maskrcnn.data.sampler import EpochSampler
from maskrcnn.data.transforms import Sample
from maskrcnn.structures import Batch


class Windowed(NamedTuple):
    """A batch, and all batches of its optimiser step if it is the first of them."""

    batch: Batch
    window: tuple[Batch, ...]


class WindowLoader(DataLoader[Sample]):
    """Yields `Windowed` for each batch of an `EpochSampler`, so that batches are counted as without windows.

    Attributes:
        window: batches of an optimiser step; the last step of an epoch has what is left.
        limit: batches of an epoch that are trained on.
    """

    window: int
    limit: int

    def __iter__(self) -> Iterator[Windowed]:  # type: ignore[override]
        assert isinstance(self.sampler, EpochSampler)
        left = self.limit - self.sampler.start // self.sampler.batch_size  # fewer after going on in the middle
        return self._windows(islice(super().__iter__(), left))

    def _windows(self, batches: Iterator[Batch]) -> Iterator[Windowed]:
        while window := tuple(islice(batches, self.window)):
            yield Windowed(window[0], window)
            yield from (Windowed(batch, ()) for batch in window[1:])
