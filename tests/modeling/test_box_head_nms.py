from collections.abc import Callable

import pytest
import torch

from maskrcnn.modeling.box_head import BoxPrediction, RefinedRegions
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.rpn import RefinedAnchors
from maskrcnn.ops.soft_nms import soft_nms
from maskrcnn.structures import Batch, Proposals


@pytest.mark.parametrize("kind", ["linear", "gaussian"])
def test_detections_have_the_scores_of_soft_nms(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch], kind: str
) -> None:
    model = build_model(
        f"model.box_head.nms={kind}", "model.box_head.nms_threshold=0.3", "model.box_head.max_detections=60"
    ).eval()
    batch = make_batch([0, 0])
    with torch.no_grad():
        features = model.extract(model.normalise(batch.images, batch.image_sizes))
        table = model.pooler.table(features)
        proposals = model.rpn.propose(model.score_anchors(features), batch.image_sizes, training=False)
        prediction = model.examine(table, proposals)
        regions = model.box_head.refine(prediction, proposals, batch.image_sizes)
        found = model.box_head.detect(prediction, proposals, batch.image_sizes)
    large = (regions.boxes[..., 2:] - regions.boxes[..., :2]).amin(dim=-1) >= model.box_head.min_size
    scores = soft_nms(
        regions.boxes, regions.scores, regions.valid & large, decay=kind, threshold=0.3, sigma=0.5, least=0.05,
        most=60, groups=regions.labels,
    )  # fmt: skip
    best = scores.topk(60, dim=1)
    assert torch.equal(found.valid, best.values >= 0) and found.valid.any()
    assert torch.equal(found.scores, torch.where(found.valid, best.values, 0))
    lowered = found.scores < regions.scores.gather(1, best.indices)
    assert (lowered & found.valid).any()


def test_a_detection_scores_more_than_the_threshold(build_model: Callable[..., MaskRCNN]) -> None:
    head = build_model().box_head
    logits = torch.tensor([[0.0, -torch.inf, -torch.inf, -torch.inf, 0.0]])  # halves, for a class and the background
    prediction = BoxPrediction(logits, torch.zeros_like(head.deltas.bias).view(1, -1, 4))
    proposals = Proposals(torch.tensor([[[0.0, 0.0, 9.0, 9.0]]]), torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool))
    for threshold, expected in [(0.5, 0), (0.499, 1)]:
        head.score_threshold = threshold
        assert int(head.detect(prediction, proposals, torch.tensor([[64, 96]])).valid.sum()) == expected


@pytest.mark.parametrize("kind, last", [("greedy", 0.6), ("gaussian", -1.0)])
def test_thin_boxes_and_those_of_low_scores_are_dropped(
    build_model: Callable[..., MaskRCNN], kind: str, last: float
) -> None:
    head = build_model(
        f"model.box_head.nms={kind}", "model.box_head.nms_threshold=0.8", "model.box_head.min_size=5",
        "model.box_head.score_threshold=0.5",
    ).box_head  # fmt: skip
    # Sides of 5; of less; and a box that overlaps the first by 2/3, so that gaussian leaves it 0.6 exp(-8/9) = 0.25.
    boxes = torch.tensor([[[0.0, 0, 30, 5], [40, 0, 70, 4.9], [80, 0, 84.9, 30], [0, 0, 20, 5]]])
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6]])
    slots = torch.zeros(1, 4, dtype=torch.int64)
    refined = RefinedRegions(slots, slots, boxes, scores, torch.ones(1, 4, dtype=torch.bool))
    assert torch.equal(head.rescore(refined), torch.tensor([[0.9, -1.0, -1.0, last]]))


def test_thin_proposals_are_dropped(build_model: Callable[..., MaskRCNN]) -> None:
    boxes = torch.tensor([[[[0.0, 0, 30, 5], [40, 0, 70, 4.9], [80, 0, 84.9, 30]]]])
    slots = torch.zeros(1, 1, 3, dtype=torch.int64)
    refined = RefinedAnchors(slots, boxes, torch.ones(1, 1, 3), torch.ones(1, 1, 3, dtype=torch.bool))
    assert build_model("model.rpn.min_size=5").rpn.suppress(refined).tolist() == [[[True, False, False]]]


def test_unknown_kinds_are_refused(build_model: Callable[..., MaskRCNN]) -> None:
    with pytest.raises(ValueError, match="nms"):
        build_model("model.box_head.nms=hard")
    with pytest.raises(ValueError, match="model.box_head.nms_sigma is 0; give a number above 0"):
        build_model("model.box_head.nms_sigma=0")
