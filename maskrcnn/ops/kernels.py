"""Where the Triton kernels stand in for the operators written in torch."""

from importlib.util import find_spec

import torch
from torch import Tensor

HAS_TRITON = find_spec("triton") is not None  # comes with torch's CUDA builds for Linux


def triton_serves(tensor: Tensor) -> bool:
    """Whether a Triton kernel can work on this tensor; an exported program keeps to torch, to run anywhere."""
    return HAS_TRITON and tensor.is_cuda and tensor.dtype != torch.float64 and not torch.compiler.is_exporting()
