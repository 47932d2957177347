import torch
from torch import Tensor

from maskrcnn.ops import matching
from maskrcnn.ops.boxes import iou
from maskrcnn.ops.matching import Matches, match_boxes, match_iou


def as_torchvision(matches: Matches) -> Tensor:
    """Index of the object, -1 for a negative, -2 for an ignored candidate."""
    return torch.where(matches.positive, matches.index, torch.where(matches.negative, -1, -2))


def test_matches_torchvision(golden: dict[str, Tensor]) -> None:
    overlap = golden["match_iou"]
    with_low_quality = match_iou(overlap, 0.3, 0.7, best=overlap.amax(dim=1))
    assert as_torchvision(with_low_quality).tolist() == golden["match_lowq_.3_.7"].tolist()
    assert as_torchvision(match_iou(overlap, 0.5, 0.5)).tolist() == golden["match_.5_.5"].tolist()


def test_an_object_that_no_candidate_touches_makes_none_positive() -> None:
    # torchvision would make every candidate positive here: all tie for the object's best IoU, which is 0.
    overlap = torch.tensor([[0.0, 0.0], [0.2, 0.1]])
    assert match_iou(overlap, 0.3, 0.7, best=overlap.amax(dim=1)).positive.tolist() == [True, False]


def test_chunks_and_batch_change_nothing_and_padding_is_never_matched(monkeypatch) -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(300, 2, generator=generator) * 50
    candidates = torch.cat((corners, corners + torch.rand(300, 2, generator=generator) * 30 + 1), dim=1)
    boxes = candidates[torch.randint(0, 300, (2, 6), generator=generator)] + 1
    valid = torch.tensor([[True, False, True, True, False, False], [False] * 6])
    whole = match_boxes(candidates, boxes, valid, low=0.3, high=0.7, low_quality=True)
    monkeypatch.setattr(matching, "CHUNK", 37)
    parts = match_boxes(candidates, boxes, valid, low=0.3, high=0.7, low_quality=True)
    monkeypatch.setattr(matching, "BLOCK", 1)
    monkeypatch.setattr(matching, "CHUNK", 1000)
    blocks = match_boxes(candidates, boxes, valid, low=0.3, high=0.7, low_quality=True)  # of 256
    monkeypatch.setattr(matching, "KEPT", 0)
    again = match_boxes(candidates, boxes, valid, low=0.3, high=0.7, low_quality=True)
    assert all(torch.equal(a, b) for a, b in zip(whole, again))
    assert all(torch.equal(a, b) for a, b in zip(whole, blocks))
    assert all(torch.equal(a, b) for a, b in zip(whole, parts))
    overlap = iou(boxes[0, valid[0], None], candidates)
    alone = match_iou(overlap, 0.3, 0.7, best=overlap.amax(dim=1))
    objects = torch.tensor([0, 2, 3])[alone.index]
    assert torch.equal(whole.positive[0], alone.positive) and alone.positive.any()
    assert torch.equal(whole.index[0][alone.positive], objects[alone.positive])
    assert whole.negative[1].all() and not whole.positive[1].any()


def test_thresholds_include_high_and_exclude_low() -> None:
    found = match_iou(torch.tensor([[0.25, 0.5, 0.75, 0.2]]), 0.25, 0.75)
    assert as_torchvision(found).tolist() == [-2, -2, 0, -1]


def test_a_default_device_of_the_program_changes_nothing() -> None:
    candidates = torch.tensor([[0.0, 0, 8, 8], [4, 0, 12, 8], [20, 20, 30, 30]])
    boxes, valid = candidates[None, :2] + 1, torch.tensor([[True, False]])
    plain = match_boxes(candidates, boxes, valid, low=0.3, high=0.7, low_quality=True)
    with torch.device("meta"):
        found = match_boxes(candidates, boxes, valid, low=0.3, high=0.7, low_quality=True)
    assert found.positive.tolist() == [[True, False, False]]
    assert all(torch.equal(a, b) for a, b in zip(found, plain))
