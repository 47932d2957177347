"""Addresses of samples for the loader, rank by rank."""

from collections.abc import Iterator

from torch.utils.data import Sampler

from maskrcnn.data.order import EpochOrder

Address = tuple[int, int, int]  # epoch, index of the picture, how often it came before in this epoch


class EpochSampler(Sampler[Address]):
    """Yields the training samples of one rank.

    Ranks get equally many, in turns, so that their batches together are the batches of one process with as many
    pictures. Up to `world_size` - 1 samples are left out, others each epoch.

    Args:
        order: the samples of each epoch.
        batch_size: of one rank.
        rank, world_size: of the process.
        epoch, start: where to go on: in its first pass, the sampler begins with sample `start` of that epoch.
    """

    def __init__(self, order: EpochOrder, batch_size: int, rank: int, world_size: int, epoch: int, start: int) -> None:
        self.order = order
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.epoch = epoch
        self.start = start

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Address]:
        start, self.start = self.start, 0
        epoch = self.epoch if self.order.shuffle else 0
        samples = self.order.samples(epoch, self.batch_size * self.world_size)
        own = samples[: len(self) * self.world_size][self.rank :: self.world_size]
        yield from ((epoch, int(index), int(repeat)) for index, repeat in own[start:])

    def __len__(self) -> int:
        return len(self.order) // self.world_size


class InOrder(Sampler[Address]):
    """Yields every picture once, for validation; ranks take turns.

    Args:
        size: pictures in the data set.
        rank, world_size: of the process.
    """

    def __init__(self, size: int, rank: int, world_size: int) -> None:
        self.indices = range(rank, size, world_size)

    def __iter__(self) -> Iterator[Address]:
        yield from ((0, index, 0) for index in self.indices)

    def __len__(self) -> int:
        return len(self.indices)
