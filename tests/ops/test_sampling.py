import numpy as np
import torch

from maskrcnn.ops.sampling import gather_slots, hash_noise, subsample

KEYS = torch.tensor([1, 2**32 - 1, 123456789])


def lowbias32(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
    x = ((x ^ (x >> 15)) * 0x846CA68B) % 2**32
    return x ^ (x >> 16)


def test_noise_equals_the_hash_in_plain_integers() -> None:
    noise = hash_noise(KEYS, 5, stream=3)
    for b, key in enumerate(KEYS.tolist()):
        for slot in range(5):
            seed = lowbias32((key + 3 * 0x9E3779B9) % 2**32)
            assert noise[b, slot].item() == (lowbias32(seed ^ lowbias32(slot + 1)) >> 8) / 2**24


def test_noise_is_the_same_for_any_batch_split_and_differs_between_streams() -> None:
    together = hash_noise(KEYS, 1000, stream=1)
    apart = torch.cat([hash_noise(key[None], 1000, stream=1) for key in KEYS])
    assert torch.equal(together, apart)
    assert (hash_noise(KEYS, 1000, stream=2) == together).float().mean() < 0.01


def test_noise_is_uniform_and_uncorrelated() -> None:
    noise = hash_noise(torch.arange(20), 20000, stream=1).double().numpy()
    counts = np.histogram(noise, bins=50, range=(0, 1))[0] / noise.size * 50
    assert np.abs(counts - 1).max() < 0.05  # 8,000 a bin: standard deviation 0.011
    correlation = np.corrcoef(noise) - np.eye(20)
    assert np.abs(correlation).max() < 0.04  # 20,000 samples: standard deviation 0.007


def test_subsample_takes_the_highest_noise_positives_first() -> None:
    positive = torch.tensor([[True, True, True, False, False, False, False, False]])
    negative = torch.tensor([[False, False, False, True, True, True, True, False]])
    noise = torch.tensor([[0.1, 0.9, 0.5, 0.2, 0.8, 0.4, 0.6, 0.99]])
    sample = subsample(positive, negative, noise, 5, 0.5)
    assert sample.index.tolist() == [[1, 2, 4, 6, 5]]
    assert sample.positive.tolist() == [[True, True, False, False, False]]
    assert sample.valid.all()


def test_negatives_fill_up_and_what_is_left_is_invalid() -> None:
    positive = torch.tensor([[False, True, False, False], [False] * 4])
    negative = torch.tensor([[True, False, False, False], [False] * 4])
    sample = subsample(positive, negative, torch.full((2, 4), 0.5), 10, 0.5)
    assert sample.valid.tolist() == [[True, True, False, False], [False] * 4]
    assert sample.positive.tolist() == [[True, False, False, False], [False] * 4]
    assert sample.index[0, :2].tolist() == [1, 0]


def test_gather_slots_equals_indexing() -> None:
    values = torch.arange(24.0).view(2, 3, 4)
    index = torch.tensor([[2, 0], [1, 1]])
    assert torch.equal(gather_slots(values, index), torch.stack((values[0, [2, 0]], values[1, [1, 1]])))


def test_a_small_share_still_draws_one_positive() -> None:
    positive = torch.tensor([[True, True, False, False]])
    sample = subsample(positive, ~positive, torch.tensor([[0.1, 0.2, 0.3, 0.4]]), 3, 0.25)
    assert sample.index.tolist() == [[1, 3, 2]] and sample.positive.tolist() == [[True, False, False]]
