from pathlib import Path

import numpy as np
import torch

from maskrcnn.modeling.anchors import Anchors

STRIDES = (4, 8, 16, 32, 64)


def pyramid(height: int, width: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros(1, 1, -(-height // s), -(-width // s)) for s in STRIDES)


def test_rounded_anchors_equal_torchvisions() -> None:
    with np.load(Path(__file__).parent.parent / "golden" / "torchvision_ops.npz") as arrays:
        want = torch.from_numpy(arrays["anchors_128x192"])
    anchors = Anchors(STRIDES, scales=[8.0], ratios=[0.5, 1.0, 2.0], rounded=True, measured_strides=True)
    assert torch.equal(torch.cat(anchors(pyramid(128, 192))), want)


def test_exact_anchors_by_eye() -> None:
    anchors = Anchors((4,), scales=[2.0, 4.0], ratios=[0.25, 1.0], rounded=False, measured_strides=False)
    (level,) = anchors((torch.zeros(1, 1, 1, 2),))
    # Sides 8 and 16: flat ones of ratio 1/4 are 16 x 4 and 32 x 8, then the squares; the second cell lies 4 px right.
    first = [[-8, -2, 8, 2], [-16, -4, 16, 4], [-4, -4, 4, 4], [-8, -8, 8, 8]]
    assert level.tolist() == first + [[x1 + 4, y1, x2 + 4, y2] for x1, y1, x2, y2 in first]
