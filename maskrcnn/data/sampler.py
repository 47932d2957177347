"""The order of the pictures: a function of (seed, epoch), whatever was drawn before."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields addresses (epoch, index) of the samples of one rank.

    Args:
        size: pictures in the data set.
        seed: of the run, from 0 on. None keeps the pictures in order and the epoch at 0, for validation.
        rank, world_size: of the process. Training ranks get equally many pictures, for which up to `world_size` - 1 are
            left out, others each epoch; in validation every picture comes exactly once.
    """

    def __init__(self, size: int, seed: int | None, rank: int, world_size: int) -> None:
        self.size = size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        if self.seed is None:
            yield from ((0, index) for index in range(self.rank, self.size, self.world_size))
            return
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        order = order[: self.size // self.world_size * self.world_size]
        yield from ((self.epoch, int(index)) for index in order[self.rank :: self.world_size])

    def __len__(self) -> int:
        if self.seed is None:
            return len(range(self.rank, self.size, self.world_size))
        return self.size // self.world_size
