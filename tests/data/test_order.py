from collections import Counter
from math import ceil, floor

import numpy as np
import pytest

from maskrcnn.data.order import EpochOrder

RNG = np.random.default_rng(0)
FACTORS = {
    "rare classes": np.concatenate([np.ones(30), RNG.uniform(1, 4, 17)]),
    "weights": np.repeat([0.3, 2.0, 1.5], 13),
    "fewer than one": np.full(9, 0.25),
}


@pytest.mark.parametrize("seed, epoch", [(0, 0), (7, 3), (2**40, 1)])
def test_without_factors_it_is_one_permutation(seed: int, epoch: int) -> None:
    """The order of the first release, which runs may have been started with."""
    samples = EpochOrder(np.ones(50), None, seed, True).samples(epoch, 4)
    assert samples[:, 0].tolist() == np.random.default_rng([seed, epoch]).permutation(50).tolist()
    assert not samples[:, 1].any()


@pytest.mark.parametrize("factors", FACTORS.values(), ids=FACTORS)
def test_every_picture_comes_as_its_factor_says(factors: np.ndarray) -> None:
    order = EpochOrder(factors, None, 3, True)
    assert len(order) == floor(sum(factors))
    total = np.zeros(len(factors))
    orders = set()
    for epoch in range(400):
        samples = order.samples(epoch, 4)
        assert len(samples) == len(order)
        counts = Counter(samples[:, 0].tolist())
        assert all(counts[i] in (floor(factor), ceil(factor)) for i, factor in enumerate(factors))
        assert sorted(map(tuple, samples.tolist())) == [(i, k) for i in sorted(counts) for k in range(counts[i])]
        total += [counts[i] for i in range(len(factors))]
        orders.add(samples.tobytes())
    assert len(orders) == 400 or len(factors) == 9  # of 72 orders of two pictures, some come again
    # A share of a picture is a chance of at most 0.5 deviation: 5 standard errors, and the floor of the epoch's length.
    lost = (sum(factors) - len(order)) * factors / sum(factors)
    np.testing.assert_allclose(total / 400, factors - lost, atol=5 * 0.5 / 20)


@pytest.mark.parametrize("factor, size", [(0.1, 1), (0.7, 7), (1.3, 13), (2.0, 20)])
def test_decimal_factors_sum_up_exactly(factor: float, size: int) -> None:
    order = EpochOrder(np.full(10, factor), None, 0, True)  # 0.1 ten times is less than 1 in floating point
    assert [len(order.samples(epoch, 1)) for epoch in range(5)] == [size] * 5 == [len(order)] * 5


def test_without_shuffling_the_first_epoch_by_index() -> None:
    factors = FACTORS["weights"]
    samples = EpochOrder(factors, factors > 1, 3, False).samples(5, 4)
    assert samples.tolist() == sorted(EpochOrder(factors, None, 3, True).samples(0, 4).tolist())


@pytest.mark.parametrize("global_batch", [1, 4, 8, 64])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_batches_of_one_orientation(global_batch: int, share: float) -> None:
    factors = FACTORS["rare classes"]
    portrait = np.random.default_rng(1).random(len(factors)) < share
    order = EpochOrder(factors, portrait, 3, True)
    sides = set()
    for epoch in range(20):
        samples = order.samples(epoch, global_batch)
        mixed = EpochOrder(factors, None, 3, True).samples(epoch, global_batch)
        assert sorted(samples.tolist()) == sorted(mixed.tolist())  # the same samples in another order
        full = len(samples) // global_batch
        batches = portrait[samples[: full * global_batch, 0]].reshape(full, global_batch)
        one_sided = [len(set(batch)) == 1 for batch in batches.tolist()]
        assert all(one_sided[:-1])  # the last batch alone may be mixed
        sides.add(tuple(batches[:, 0].tolist()))
    if share == 0.3 and global_batch in (4, 8):
        assert len(sides) > 3  # of landscape and portrait batches, another order each epoch


def test_batches_of_one_orientation_by_hand() -> None:
    portrait = np.array([True, False, False, True, False, False, True])
    order = EpochOrder(np.ones(7), portrait, 5, True)
    line = np.random.default_rng([5, 2]).permutation(7).tolist()
    high, wide = ([i for i in line if portrait[i] == side] for side in (True, False))
    samples = order.samples(2, 2)[:, 0].tolist()
    assert sorted([samples[:2], samples[2:4], samples[4:6]]) == sorted([high[:2], wide[:2], wide[2:]])
    assert samples[6:] == high[2:]  # the incomplete batch, that is left out
