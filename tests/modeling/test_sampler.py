"""Which regions the heads learn from."""

from collections.abc import Callable

import torch

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Proposals, RoISamples


def test_only_proposals_and_objects_that_are_there_are_drawn(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]
) -> None:
    model, batch = build_model("model.sampler.append_objects=true"), make_batch([2, 0])
    targets = model.prepare_targets(batch.targets)
    ground = torch.tensor([80.0, 50, 96, 64])
    boxes = torch.stack((targets.boxes[:, 0], ground.expand(2, 4), ground.expand(2, 4)), dim=1)
    valid = torch.tensor([[False, False, True]] * 2)
    samples = model.sampler(Proposals(boxes, torch.zeros(2, 3), valid), targets, batch.keys)
    assert samples.valid.sum(dim=1).tolist() == [3, 1]  # two objects and the ground; the ground
    assert samples.foreground.sum(dim=1).tolist() == [2, 0]
    first, second = samples.matches[0, :2].tolist()
    assert {first, second} == {0, 1}
    assert torch.equal(samples.boxes[0, :3], torch.stack((*targets.boxes[0, [first, second]], ground)))
    assert samples.labels[0, :3].tolist() == [*targets.labels[0, [first, second]].tolist(), model.sampler.num_classes]
    assert (samples.boxes[~samples.valid] == torch.tensor([0.0, 0, 1, 1])).all()


def test_without_their_own_boxes_objects_are_found_by_proposals_alone(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]
) -> None:
    model, batch = build_model("model.sampler.append_objects=false"), make_batch([3, 3])
    found = batch.targets.boxes[:, 1:2]
    samples = model.sampler(Proposals(found, torch.zeros(2, 1), torch.ones(2, 1) > 0), batch.targets, batch.keys)
    assert torch.equal(samples.boxes, found) and samples.matches.tolist() == [[1], [1]]


def test_the_mask_head_learns_from_a_random_part_of_the_foreground(build_model: Callable[..., MaskRCNN]) -> None:
    sampler = build_model("model.sampler.mask_slots=6").sampler
    foreground = (torch.arange(16) < 4).expand(2, -1)  # 8 of two pictures
    slots = torch.arange(32).view(2, 16)
    boxes = slots[..., None] + torch.tensor([0.0, 0, 5, 5])
    samples = RoISamples(boxes, slots % 3, slots, foreground, torch.ones(2, 16) > 0)
    seen = set()
    for key in range(40):
        chosen = sampler.mask_samples(samples, torch.tensor([key, 1000 + key]))
        assert chosen.valid.tolist() == [True] * 6 and len(set(chosen.matches.tolist())) == 6
        assert foreground.flatten()[chosen.matches].all()
        assert torch.equal(chosen.images, chosen.matches // 16) and torch.equal(chosen.labels, chosen.matches % 3)
        assert torch.equal(chosen.boxes, boxes.flatten(0, 1)[chosen.matches])
        seen |= set(chosen.matches.tolist())
    assert seen == {0, 1, 2, 3, 16, 17, 18, 19}
