"""Random choice as a pure function: noise by hashing, and a subsample of fixed size by top-k on that noise."""

from typing import NamedTuple

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    # The 32-bit finaliser "lowbias32" on int64; products may wrap around, their low 32 bits stay right.
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def hash_noise(keys: Tensor, slots: int, stream: int) -> Tensor:
    """Uniform noise as an integer hash of (key, stream, slot): the same for any split of a batch, on any device.

    Args:
        keys: [B] int64 in 0..2**32-1, one an image.
        slots: numbers wanted for each image.
        stream: a small number; different streams are independent.

    Returns:
        [B, slots] float32 in [0, 1), multiples of 2**-24 so that each is exact.
    """
    slot = torch.arange(slots, device=keys.device)
    x = _mix((keys + stream * 0x9E3779B9) & _MASK)
    x = _mix(x[:, None] ^ _mix(slot + 1))
    return (x >> 8).to(torch.float32) * 2.0**-24


class Subsample(NamedTuple):
    """Chosen candidates, positives first, then negatives, then invalid slots."""

    index: Tensor  # type: ignore[assignment]  # [B, size] int64; hides tuple.index
    positive: Tensor  # [B, size] bool
    valid: Tensor  # [B, size] bool


def subsample(positive: Tensor, negative: Tensor, noise: Tensor, size: int, positive_fraction: float) -> Subsample:
    """Draws candidates at random: at most a fraction of positives, filled up with negatives.

    Args:
        positive, negative: [B, N] bool.
        noise: [B, N] in [0, 1); the candidates of highest noise are drawn.
        size: candidates to draw; no more than N are.
        positive_fraction: positives take at most this share of `size`.

    Returns:
        `Subsample` of min(size, N) slots; those that no candidate is left for are invalid and point anywhere.
    """
    size = min(size, noise.shape[-1])
    most_positive = max(int(size * positive_fraction), 1)
    positive_index = torch.where(positive, noise, -1).topk(most_positive).indices
    negative_index = torch.where(negative, noise, -1).topk(size).indices
    positives = positive.sum(dim=-1, keepdim=True).clamp(max=most_positive)
    negatives = negative.sum(dim=-1, keepdim=True)
    slot = torch.arange(size, device=noise.device).expand_as(negative_index)
    is_positive = slot < positives
    index = torch.where(
        is_positive,
        positive_index.gather(-1, slot.clamp(max=most_positive - 1)),
        negative_index.gather(-1, (slot - positives).clamp(min=0)),
    )
    return Subsample(index, is_positive, slot < positives + negatives)


def gather_slots(values: Tensor, index: Tensor) -> Tensor:
    """Picks slots: values [B, N, ...] at index [B, S] gives [B, S, ...]."""
    index = index.reshape(index.shape + (1,) * (values.dim() - 2))
    return values.gather(1, index.expand(-1, -1, *values.shape[2:]))
