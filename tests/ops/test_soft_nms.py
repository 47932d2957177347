import math

import pytest
import torch
from torch import Tensor

from maskrcnn.ops.boxes import iou
from maskrcnn.ops.soft_nms import soft_nms

SETTINGS = {"threshold": 0.3, "sigma": 0.5, "least": 0.05, "most": 40}


def random_scene(seed: int, n: int = 60) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, n, 2, generator=generator) * 60
    boxes = torch.cat((corners, corners + torch.rand(2, n, 2, generator=generator) * 30 + 5), dim=-1)
    scores = torch.rand(2, n, generator=generator)
    valid = torch.rand(2, n, generator=generator) < 0.8
    return boxes, scores, valid, torch.randint(0, 2, (2, n), generator=generator)


def naive(boxes: Tensor, scores: Tensor, valid: Tensor, groups: Tensor, decay: str, most: int) -> list[float]:
    """The paper's figure 3, with lists."""
    left = {i: float(scores[i]) for i in range(len(boxes)) if valid[i]}
    final = [-1.0] * len(boxes)
    for _ in range(most):
        left = {i: score for i, score in left.items() if score > SETTINGS["least"]}
        if not left:
            break
        best = max(left, key=lambda i: left[i])
        final[best] = left.pop(best)
        for i in left:
            overlap = float(iou(boxes[best], boxes[i]))
            if groups[i] != groups[best]:
                continue
            if decay == "gaussian":
                left[i] *= math.exp(-overlap * overlap / SETTINGS["sigma"])
            elif overlap > SETTINGS["threshold"]:
                left[i] *= 1 - overlap
    return final


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
@pytest.mark.parametrize("most", [7, 60])
def test_equals_the_loop_of_the_paper(decay: str, most: int) -> None:
    for seed in range(3):
        boxes, scores, valid, groups = random_scene(seed)
        found = soft_nms(boxes, scores, valid, groups=groups, decay=decay, **{**SETTINGS, "most": most})
        for i in range(2):
            expected = naive(boxes[i], scores[i], valid[i], groups[i], decay, most)
            assert found[i].tolist() == pytest.approx(expected, rel=1e-5)


def test_a_second_object_behind_the_first_keeps_a_lower_score() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 6], [50, 50, 60, 60]]])
    scores, valid = torch.tensor([[0.9, 0.8, 0.7]]), torch.ones(1, 3, dtype=torch.bool)
    linear = soft_nms(boxes, scores, valid, decay="linear", **SETTINGS)
    assert linear[0].tolist() == pytest.approx([0.9, 0.8 * 0.4, 0.7])  # an IoU of 0.6
    gaussian = soft_nms(boxes, scores, valid, decay="gaussian", **SETTINGS)
    assert gaussian[0].tolist() == pytest.approx([0.9, 0.8 * math.exp(-0.36 / 0.5), 0.7])
    alone = soft_nms(boxes, scores, valid, decay="linear", **{**SETTINGS, "most": 1})
    assert alone[0].tolist() == pytest.approx([0.9, -1, -1])


def test_a_batch_is_its_pictures_and_an_empty_one_gives_nothing() -> None:
    boxes, scores, valid, groups = random_scene(5)
    valid[1] = False
    both = soft_nms(boxes, scores, valid, groups=groups, decay="linear", **SETTINGS)
    first = soft_nms(boxes[:1], scores[:1], valid[:1], groups=groups[:1], decay="linear", **SETTINGS)
    assert torch.equal(both[:1], first)
    assert (both[1] == -1).all()


def test_compiled_while_loop_gives_the_same() -> None:
    boxes, scores, valid, _ = random_scene(6, n=20)
    compiled = torch.compile(soft_nms, fullgraph=True, backend="aot_eager")
    for decay in ("linear", "gaussian"):
        eager = soft_nms(boxes, scores, valid, decay=decay, **SETTINGS)
        assert torch.equal(compiled(boxes, scores, valid, decay=decay, **SETTINGS), eager)


def test_at_the_very_limits_nothing_is_lowered_and_nothing_chosen() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1]]).expand(2, -1, -1)  # IoU 0.5
    scores, valid = torch.tensor([[1.0, 0.75], [0.25, 0.125]]), torch.ones(2, 2, dtype=torch.bool)
    left = soft_nms(boxes, scores, valid, decay="linear", threshold=0.5, sigma=0.5, least=0.25, most=9)
    assert left.tolist() == [[1.0, 0.75], [-1.0, -1.0]]
