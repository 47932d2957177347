"""Sums that tell two sets of weights apart, without reading them from the device."""

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def checksum(tensors: Iterable[Tensor]) -> Tensor:
    """A sum over the bits of tensors: a scalar, int64, on their device; nothing waits for it.

    Each value's bits, as an integer, count 1, 3, 5, ... times by its position, modulo 2**64. An odd factor has an
    inverse there, so that no change of a single value goes unseen; and values that change places change the sum, but
    where their difference times twice the distance is a multiple of 2**64.

    Args:
        tensors: of any dtype without imaginary parts, on one device, at least one; in the order of their shape, however
            they lie in memory.
    """
    total, start = None, 0
    for tensor in tensors:
        bits = tensor.detach().view(_INTEGERS[tensor.element_size()]).flatten().to(torch.int64)
        factors = torch.arange(2 * start + 1, 2 * (start + bits.numel()) + 1, 2, device=bits.device)
        part = (bits * factors).sum()
        total, start = part if total is None else total + part, start + bits.numel()
    assert total is not None
    return total


def parts(model: nn.Module) -> dict[str, list[Tensor]]:
    """Weights and buffers by the first two names of their key: "backbone.layer1", "rpn.conv", "mask_head.logits", ...,
    in the order of the model.
    """
    found: dict[str, list[Tensor]] = {}
    for key, value in model.state_dict().items():
        found.setdefault(".".join(key.split(".")[:2]), []).append(value)
    return found


def hash_state(state: Mapping[str, Tensor]) -> str:
    """64 hexadecimal digits of weights, by key, dtype, shape and bits; wherever they lie, in any order of the keys."""
    key = hashlib.sha256()
    for name, value in sorted(state.items()):
        key.update(f"{name} {value.dtype} {list(value.shape)};".encode())
        bits = value.detach().cpu().contiguous().view(_INTEGERS[value.element_size()])
        key.update(bits.numpy().tobytes())
    return key.hexdigest()
