import numpy as np
import pytest

from maskrcnn.data.order import EpochOrder
from maskrcnn.data.sampler import Address, EpochSampler, InOrder


def order(size: int, seed: int = 1, shuffle: bool = True) -> EpochOrder:
    return EpochOrder(np.ones(size), None, seed, shuffle)


def epoch_of(sampler: EpochSampler, epoch: int) -> list[Address]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_addresses_are_the_orders_samples() -> None:
    factors = np.linspace(0.5, 2.5, 20)
    one = EpochOrder(factors, None, 1, True)
    sampler = EpochSampler(one, 4, 0, 1, 0, 0)
    assert epoch_of(sampler, 3) == [(3, int(index), int(repeat)) for index, repeat in one.samples(3, 4)]
    assert len(sampler) == 30
    assert epoch_of(sampler, 4) != epoch_of(sampler, 3)
    still = EpochSampler(order(5, shuffle=False), 4, 0, 1, 0, 0)
    assert epoch_of(still, 3) == [(0, index, 0) for index in range(5)]


@pytest.mark.parametrize("size, world_size", [(48, 4), (50, 4), (3, 2)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_ranks_share_an_epoch(size: int, world_size: int, shuffle: bool) -> None:
    whole = epoch_of(EpochSampler(order(size, shuffle=shuffle), 4 * world_size, 0, 1, 0, 0), 3)
    ranks = [EpochSampler(order(size, shuffle=shuffle), 4, rank, world_size, 0, 0) for rank in range(world_size)]
    shares = [epoch_of(sampler, 3) for sampler in ranks]
    assert [len(share) for share in shares] == [size // world_size] * world_size == [len(sampler) for sampler in ranks]
    # In turns, so that the ranks' batches together are the batches of one process with as many pictures.
    assert [address for turn in zip(*shares, strict=True) for address in turn] == whole[
        : size // world_size * world_size
    ]


def test_the_ranks_batches_are_of_one_orientation_together() -> None:
    portrait = np.arange(64) % 2 == 0
    mixed = EpochOrder(np.ones(64), portrait, 1, True)
    first, second = (list(EpochSampler(mixed, 4, rank, 2, 0, 0)) for rank in range(2))
    for start in range(0, 32, 4):
        batch = [index for _, index, _ in first[start : start + 4] + second[start : start + 4]]
        assert len(set(portrait[batch])) == 1


@pytest.mark.parametrize("world_size", [1, 2, 3, 12])
def test_validation_is_in_order_and_complete(world_size: int) -> None:
    samplers = [InOrder(10, rank, world_size) for rank in range(world_size)]
    shares = [list(sampler) for sampler in samplers]
    assert shares == [[(0, index, 0) for index in range(rank, 10, world_size)] for rank in range(world_size)]
    assert [len(sampler) for sampler in samplers] == [len(share) for share in shares]


def test_going_on_in_the_middle_happens_once() -> None:
    sampler = EpochSampler(order(20), 4, 0, 1, 5, 12)
    whole = epoch_of(EpochSampler(order(20), 4, 0, 1, 0, 0), 5)
    assert list(sampler) == whole[12:]
    assert list(sampler) == whole
    assert len(sampler) == 20
