"""The order of the pictures: a function of (seed, epoch), whatever was drawn before."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields addresses (epoch, index) of the samples of one rank.

    Args:
        size: pictures in the data set.
        seed: of the run, from 0 on. None keeps the pictures in order and the epoch at 0, for validation.
        rank, world_size: of the process. With a seed, ranks get equally many pictures, for which up to `world_size` - 1
            are left out, others each epoch; without one every picture comes exactly once.
        epoch, start: where to go on: in its first pass, the sampler begins with sample `start` of that epoch.
    """

    def __init__(self, size: int, seed: int | None, rank: int, world_size: int, epoch: int, start: int) -> None:
        self.size = size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = epoch
        self.start = start

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        start, self.start = self.start, 0
        epoch = 0 if self.seed is None else self.epoch
        yield from ((epoch, int(index)) for index in self._order(epoch)[start:])

    def _order(self, epoch: int) -> np.ndarray:
        if self.seed is None:
            return np.arange(self.rank, self.size, self.world_size)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
        return order[: len(self) * self.world_size][self.rank :: self.world_size]

    def __len__(self) -> int:
        if self.seed is None:
            return len(range(self.rank, self.size, self.world_size))
        return self.size // self.world_size
