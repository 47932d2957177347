"""Which samples an epoch has, and in what order: a function of (seed, epoch), whatever was drawn before."""

import numpy as np

# Factors are counted in millionths: sums of integers are exact in any order, so that an epoch's length is constant.
UNIT = 1_000_000


class EpochOrder:
    """The samples of each epoch.

    Every picture comes as often as the floor or the ceiling of its factor says, by systematic sampling: pictures lie in
    a random order on a line, each as long as its factor, and those are taken that a comb of distance 1 hits. The comb
    is shifted at random, by no more than leaves an epoch with the floor of the sum of the factors.

    Args:
        factors: [n] float64, positive: how often each picture comes in an epoch, on average.
        portrait: [n] bool: batches are made of pictures that are higher than wide, or of others. None mixes them.
        seed: of the run, from 0 on.
        shuffle: false keeps the samples of the first epoch, by index.
    """

    def __init__(self, factors: np.ndarray, portrait: np.ndarray | None, seed: int, shuffle: bool) -> None:
        self.units = np.rint(factors * UNIT).astype(np.int64)
        self.size, self.rest = divmod(int(self.units.sum()), UNIT)
        self.portrait, self.seed, self.shuffle = portrait, seed, shuffle

    def __len__(self) -> int:
        """Samples in an epoch, of all ranks."""
        return self.size

    def samples(self, epoch: int, global_batch: int) -> np.ndarray:
        """The samples of an epoch.

        Args:
            epoch: from 0 on; global_batch: pictures in the batches of all ranks together, which are of one orientation
                if that is asked for, but for the last: it is made of what both leave.

        Returns:
            [len(self), 2] int64: index of the picture, and how often it came before in this epoch.
        """
        samples = self._draw(epoch if self.shuffle else 0)
        if not self.shuffle:
            return samples
        rng = np.random.default_rng([self.seed, epoch])
        samples = samples[rng.permutation(len(samples))]
        if self.portrait is None:
            return samples
        sides = [np.flatnonzero(self.portrait[samples[:, 0]] == side) for side in (False, True)]
        ends = [len(side) // global_batch * global_batch for side in sides]
        batches = np.concatenate([side[:end].reshape(-1, global_batch) for side, end in zip(sides, ends)])
        rest = np.sort(np.concatenate([side[end:] for side, end in zip(sides, ends)]))
        return samples[np.concatenate([batches[rng.permutation(len(batches))].ravel(), rest])]

    def _draw(self, epoch: int) -> np.ndarray:
        """The samples of an epoch, by index."""
        # The spawn key keeps this stream apart from those of the samples, which are seeded by plain numbers.
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, epoch], spawn_key=(1,)))
        line = rng.permutation(len(self.units))
        hits = (np.cumsum(self.units[line]) + rng.integers(UNIT - self.rest)) // UNIT
        counts = np.zeros(len(line), np.int64)
        counts[line] = np.diff(hits, prepend=0)
        firsts = np.cumsum(counts) - counts
        return np.stack([np.repeat(np.arange(len(line)), counts), np.arange(self.size) - np.repeat(firsts, counts)], 1)
