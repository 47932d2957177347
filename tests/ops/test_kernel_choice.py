"""Which tensors the Triton kernels are for."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from maskrcnn.ops import kernels


@pytest.mark.parametrize(
    ("capability", "dtype", "serves"),
    [
        ((7, 5), torch.bfloat16, False),  # a T4
        ((8, 0), torch.bfloat16, True),
        ((9, 0), torch.float32, True),
        ((9, 0), torch.float64, False),
    ],
)
def test_triton_is_for_gpus_that_it_supports(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype, serves: bool
) -> None:
    of_device = {torch.device("cuda", 1): SimpleNamespace(major=capability[0], minor=capability[1])}
    monkeypatch.setattr(kernels, "HAS_TRITON", True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", of_device.__getitem__)
    tensor: Any = SimpleNamespace(is_cuda=True, dtype=dtype, device=torch.device("cuda", 1))
    assert kernels.triton_serves(tensor) == serves
