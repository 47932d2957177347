import pytest
import torch
from torch import Tensor

from maskrcnn.ops.boxes import iou
from maskrcnn.ops.nms import _fixed_point, _suppresses, nms


def greedy(boxes: Tensor, valid: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    keep = torch.zeros_like(valid)
    for i in range(len(boxes)):
        rivals = keep.clone() if groups is None else keep & (groups == groups[i])
        keep[i] = valid[i] & ~(iou(boxes[i], boxes[rivals]) > threshold).any()
    return keep


def random_boxes(n: int, seed: int, spread: float = 100) -> Tensor:
    r = torch.rand(n, 4, generator=torch.Generator().manual_seed(seed))
    return torch.cat((r[:, :2] * spread, r[:, :2] * spread + r[:, 2:] * 40 + 1), dim=1)


@pytest.mark.parametrize("case", [0, 1, 2])
@pytest.mark.parametrize("per_class", [False, True])
def test_keeps_what_torchvision_keeps(golden: dict[str, Tensor], case: int, per_class: bool) -> None:
    boxes, scores, classes = (golden[f"nms{case}_{field}"] for field in ("boxes", "scores", "classes"))
    order = scores.sort(descending=True, stable=True).indices
    groups = classes[order] if per_class else None
    keep = nms(boxes[order], torch.ones(len(boxes), dtype=torch.bool), float(golden[f"nms{case}_thr"]), groups)
    expected = golden[f"nms{case}_keep" + ("_per_class" if per_class else "")]
    assert order[keep].tolist() == expected.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_greedy_loop_batched_with_invalid_boxes(seed: int) -> None:
    boxes = torch.stack([random_boxes(150, seed * 7 + i) for i in range(3)])
    generator = torch.Generator().manual_seed(seed)
    valid = torch.rand(3, 150, generator=generator) < 0.8
    groups = torch.randint(0, 3, (3, 150), generator=generator)
    keep = nms(boxes, valid, 0.4, groups)
    for i in range(3):
        assert torch.equal(keep[i], greedy(boxes[i], valid[i], 0.4, groups[i]))


def test_chain_of_400_where_every_box_suppresses_the_next() -> None:
    # Each 10 px box is 4 px right of the last: neighbours overlap by 6/14 = 0.43, others by 2/18 at most.
    x = torch.arange(400.0) * 4
    boxes = torch.stack((x, torch.zeros(400), x + 10, torch.full((400,), 10.0)), dim=1)
    assert nms(boxes, torch.ones(400, dtype=torch.bool), 0.4).tolist() == [i % 2 == 0 for i in range(400)]


def test_blank_picture_where_all_scores_tie() -> None:
    # 32 px anchors at stride 4, as an untrained RPN proposes them on a blank picture; chains of some hundred.
    y, x = torch.meshgrid(torch.arange(24.0) * 4, torch.arange(24.0) * 4, indexing="ij")
    boxes = torch.stack((x, y, x + 32, y + 32), dim=-1).view(-1, 4)
    valid = torch.ones(len(boxes), dtype=torch.bool)
    assert torch.equal(nms(boxes, valid, 0.7), greedy(boxes, valid, 0.7))


def test_blocks_keep_what_the_fixed_point_of_all_pairs_keeps() -> None:
    boxes = torch.stack([random_boxes(500, i) for i in range(2)])
    valid = torch.rand(2, 500, generator=torch.Generator().manual_seed(1)) < 0.9
    groups = torch.arange(500).remainder(3).expand(2, -1)
    for given in (None, groups):
        whole = _fixed_point(_suppresses(boxes, boxes, 0.3, given, given), valid)
        assert torch.equal(nms(boxes, valid, 0.3, given), whole) and 0 < whole.sum() < 900


def test_compiled_while_loop_keeps_the_same() -> None:
    compiled = torch.compile(nms, fullgraph=True, backend="aot_eager")
    boxes, valid = random_boxes(200, 9), torch.ones(200, dtype=torch.bool)
    assert torch.equal(compiled(boxes, valid, 0.5), nms(boxes, valid, 0.5))


def test_nothing_valid_keeps_nothing() -> None:
    assert not nms(random_boxes(5, 0), torch.zeros(5, dtype=torch.bool), 0.5).any()


def test_boxes_that_overlap_by_the_very_threshold_are_kept() -> None:
    boxes, valid = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1]]), torch.ones(2, dtype=torch.bool)
    assert nms(boxes, valid, 0.5).tolist() == [True, True] and nms(boxes, valid, 0.499).tolist() == [True, False]
