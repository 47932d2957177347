"""Golden numbers of single operators, computed with torchvision 0.28 (tests/golden/README.md)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    with np.load(Path(__file__).parent.parent / "golden" / "torchvision_ops.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
