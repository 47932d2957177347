"""Where the Triton kernels stand in for the operators written in torch."""

from importlib.util import find_spec

import torch
from torch import Tensor

HAS_TRITON = find_spec("triton") is not None  # comes with torch's CUDA builds for Linux
OLDEST = 8  # compute capability that Triton supports; before, ptxas refuses kernels with bfloat16


def triton_serves(tensor: Tensor) -> bool:
    """Whether a Triton kernel can work on this tensor; an exported program keeps to torch, to run anywhere."""
    if not HAS_TRITON or not tensor.is_cuda or tensor.dtype == torch.float64 or torch.compiler.is_exporting():
        return False
    return torch.cuda.get_device_properties(tensor.device).major >= OLDEST
