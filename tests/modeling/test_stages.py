"""The stages are those of detection, and each points to what it came from."""

from collections.abc import Callable

import pytest
import torch

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.stages import Stages, stages
from maskrcnn.ops.boxes import clip_boxes, decode_boxes
from maskrcnn.structures import Batch

SIZES = [(64, 96), (50, 70)]


@pytest.fixture(scope="module")
def traced(build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]) -> tuple[MaskRCNN, Stages]:
    model, batch = build_model().eval(), make_batch([0, 0], sizes=SIZES)
    return model, stages(model, batch.images, batch.image_sizes)


def test_detections_and_proposals_have_the_bits_of_detection(traced: tuple[MaskRCNN, Stages]) -> None:
    model, found = traced
    with torch.no_grad():
        want = model.detect(found.images, found.image_sizes)
        proposals = model.rpn.propose(found.rpn, found.image_sizes, training=False)
    assert found.detections.valid.sum() > 10
    assert all(torch.equal(a, b) for a, b in zip(found.detections, want, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(found.proposals, proposals, strict=True))


def test_what_is_chosen_outlived_suppression(traced: tuple[MaskRCNN, Stages]) -> None:
    _, found = traced
    outlived = found.anchors_kept.flatten(1)
    chosen = outlived.gather(1, found.proposal_slots)
    assert torch.equal(chosen, found.proposals.valid) and outlived.sum() < outlived.numel()
    assert torch.equal(found.regions_kept.gather(1, found.detection_slots), found.detections.valid)
    assert found.regions_kept.sum() < found.refined_regions.valid.sum()


def test_each_proposal_is_the_anchor_it_points_to_moved_by_its_deltas(traced: tuple[MaskRCNN, Stages]) -> None:
    _, found = traced
    slots = found.refined_anchors.index.shape[2]
    for b in range(2):
        for p in torch.arange(found.proposals.valid.shape[1])[found.proposals.valid[b]].tolist():
            level, slot = divmod(int(found.proposal_slots[b, p]), slots)
            anchor = int(found.refined_anchors.index[b, level, slot])
            moved = decode_boxes(
                found.rpn.deltas[level][b, anchor], found.rpn.anchors[level][anchor], (1.0, 1.0, 1.0, 1.0)
            )
            want = clip_boxes(moved[None, None], found.image_sizes[b : b + 1])[0, 0]
            torch.testing.assert_close(found.proposals.boxes[b, p], want, rtol=0, atol=1e-4)
            assert found.proposals.scores[b, p] == found.rpn.objectness[level][b, anchor]


def test_each_detection_is_a_class_of_the_region_it_points_to(traced: tuple[MaskRCNN, Stages]) -> None:
    _, found = traced
    regions = found.proposals.valid.shape[1]
    for b in range(2):
        for d in torch.arange(found.detections.valid.shape[1])[found.detections.valid[b]].tolist():
            region = b * regions + int(found.refined_regions.regions[b, found.detection_slots[b, d]])
            score = found.prediction.logits[region].softmax(dim=0)[found.detections.labels[b, d]]
            torch.testing.assert_close(found.detections.scores[b, d], score)


def test_regions_are_read_at_the_middle_of_their_bins(traced: tuple[MaskRCNN, Stages]) -> None:
    model, found = traced
    assert model.pooler.sampling == 1 and model.pooler.aligned
    for region, box in enumerate(found.proposals.boxes.flatten(0, 1)):
        stride = model.neck.strides[int(found.region_levels.flatten()[region])]
        x1, y1, x2, y2 = (box / stride - 0.5).tolist()  # the first cell's centre lies half a cell from the border
        middles = (torch.arange(7) + 0.5) / 7
        torch.testing.assert_close(found.region_grid.x[region, :, 0], x1 + middles * (x2 - x1), rtol=0, atol=1e-4)
        torch.testing.assert_close(found.region_grid.y[region, :, 0], y1 + middles * (y2 - y1), rtol=0, atol=1e-4)


def test_region_features_are_the_pyramid_at_the_grid(traced: tuple[MaskRCNN, Stages]) -> None:
    _, found = traced
    checked = 0
    for region in range(0, found.proposals.valid.shape[1], 5):
        level = found.pyramid[int(found.region_levels[1, region])][1]
        y = found.region_grid.y[found.proposals.valid.shape[1] + region, 3, 0].clamp(0, level.shape[1] - 1)
        x = found.region_grid.x[found.proposals.valid.shape[1] + region, 4, 0].clamp(0, level.shape[2] - 1)
        top, left = int(y), int(x)
        rows, columns = level.shape[1] - 1, level.shape[2] - 1
        by_row = [
            torch.lerp(level[:, r, left], level[:, r, min(left + 1, columns)], x - left)
            for r in (top, min(top + 1, rows))
        ]
        torch.testing.assert_close(
            found.region_features[1, region, :, 3, 4], torch.lerp(*by_row, y - top), rtol=1e-4, atol=1e-5
        )
        checked += 1
    assert checked >= 10
