import pytest

from maskrcnn.data.sampler import EpochSampler


def epoch_of(sampler: EpochSampler, epoch: int) -> list[tuple[int, int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    sampler = EpochSampler(50, 1, 0, 1, 0, 0)
    first, second = epoch_of(sampler, 0), epoch_of(sampler, 1)
    assert [epoch for epoch, _ in second] == [1] * 50
    assert sorted(index for _, index in first) == sorted(index for _, index in second) == list(range(50))
    assert [index for _, index in first] != [index for _, index in second]
    assert epoch_of(sampler, 0) == first
    assert epoch_of(EpochSampler(50, 1, 0, 1, 7, 0), 1) == second
    assert epoch_of(EpochSampler(50, 2, 0, 1, 0, 0), 0) != first


@pytest.mark.parametrize("size, world_size", [(48, 4), (50, 4), (3, 2)])
def test_ranks_share_an_epoch(size: int, world_size: int) -> None:
    whole = epoch_of(EpochSampler(size, 1, 0, 1, 0, 0), 3)
    ranks = [EpochSampler(size, 1, rank, world_size, 0, 0) for rank in range(world_size)]
    shares = [epoch_of(sampler, 3) for sampler in ranks]
    assert [len(share) for share in shares] == [size // world_size] * world_size == [len(sampler) for sampler in ranks]
    # In turns, so that the ranks' batches together are the batches of one process with as many pictures.
    assert [address for turn in zip(*shares, strict=True) for address in turn] == whole[
        : size // world_size * world_size
    ]


@pytest.mark.parametrize("world_size", [1, 2, 3, 12])
def test_validation_is_in_order_and_complete(world_size: int) -> None:
    samplers = [EpochSampler(10, None, rank, world_size, 0, 0) for rank in range(world_size)]
    shares = [epoch_of(sampler, 4) for sampler in samplers]
    assert shares == [[(0, index) for index in range(rank, 10, world_size)] for rank in range(world_size)]
    assert [len(sampler) for sampler in samplers] == [len(share) for share in shares]


def test_going_on_in_the_middle_happens_once() -> None:
    sampler = EpochSampler(20, 1, 0, 1, 5, 12)
    whole = epoch_of(EpochSampler(20, 1, 0, 1, 0, 0), 5)
    assert list(sampler) == whole[12:]
    assert list(sampler) == whole
    assert len(sampler) == 20
