"""Which regions the heads learn from."""

from collections.abc import Callable

import torch

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Proposals


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
