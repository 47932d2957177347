"""The steps in which the two stages choose, against what they are put together to."""

from collections.abc import Callable

import torch

from maskrcnn.engine.detector import detect
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch


def test_the_steps_taken_singly_end_in_the_bits_of_detect(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]
) -> None:
    for overrides in ([], ["model.box_head.class_agnostic=false", "model.box_head.min_size=6", "model.rpn.min_size=8"]):
        model, batch = build_model(*overrides).eval(), make_batch([3, 1], sizes=[(64, 96), (50, 70)])
        sizes = batch.image_sizes
        found = detect(model, batch.images, sizes)
        assert found.valid.sum() > 5
        with torch.inference_mode():
            features = model.extract(model.normalise(batch.images, sizes))
            output, table = model.score_anchors(features), model.pooler.table(features)
            anchors = model.rpn.refine(output, sizes, training=False)
            everything = model.rpn.refine_best(output, sizes, 10**9)
            slots = anchors.boxes.shape[2]
            assert slots < everything.boxes.shape[2]  # the best come first
            assert torch.equal(anchors.boxes, everything.boxes[:, :, :slots])
            first, kept = model.rpn.select(anchors, training=False)
            assert not (kept & ~model.rpn.suppress(anchors).flatten(1).gather(1, first)).any()
            proposals = model.rpn.propose(output, sizes, training=False)
            assert torch.equal(kept, proposals.valid)
            for image, (index, real) in enumerate(zip(first, kept)):
                assert torch.equal(anchors.boxes[image].flatten(0, 1)[index[real]], proposals.boxes[image][real])
            prediction = model.examine(table, proposals)
            regions = model.box_head.refine(prediction, proposals, sizes)
            pairs = model.box_head.refine_best(prediction, proposals, sizes, -1, 10**9)
            assert torch.equal(pairs.valid.sum(1), proposals.valid.sum(1) * 4)  # classes
            second, scores = model.box_head.select(regions)
            kept = scores >= 0
            assert not (kept & ~model.box_head.suppress(regions).gather(1, second)).any()
        slots = found.valid.shape[1]
        second, kept = second[:, :slots], kept[:, :slots]
        assert torch.equal(kept, found.valid)
        for image, (index, real) in enumerate(zip(second, kept)):
            chosen = index[real]
            assert torch.equal(regions.boxes[image][chosen], found.boxes[image][real])
            assert torch.equal(regions.scores[image][chosen], found.scores[image][real])
            assert torch.equal(regions.labels[image][chosen], found.labels[image][real])


def test_training_and_detection_have_their_own_numbers_of_proposals(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]
) -> None:
    numbers = ["train_pre_nms=70", "train_post_nms=90", "test_pre_nms=5", "test_post_nms=6", "min_size=0"]
    model, batch = build_model(*(f"model.rpn.{number}" for number in numbers)), make_batch([0, 0])
    with torch.no_grad():
        output = model.score_anchors(model.extract(model.normalise(batch.images, batch.image_sizes)))
    levels = torch.tensor([level.shape[1] for level in output.objectness])
    assert levels.min() < 70 < levels.max()
    for training, before, after in [(True, 70, 90), (False, 5, 6)]:
        refined = model.rpn.refine(output, batch.image_sizes, training)
        assert torch.equal(refined.valid.sum(dim=2), levels.clamp(max=before).expand(2, -1))
        assert model.rpn.propose(output, batch.image_sizes, training).valid.sum(dim=1).tolist() == [after, after]
