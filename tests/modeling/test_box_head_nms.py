from collections.abc import Callable

import pytest
import torch

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.soft_nms import soft_nms
from maskrcnn.structures import Batch


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


def test_unknown_kinds_are_refused(build_model: Callable[..., MaskRCNN]) -> None:
    with pytest.raises(ValueError, match="nms"):
        build_model("model.box_head.nms=hard")
    with pytest.raises(ValueError, match="model.box_head.nms_sigma is 0; give a number above 0"):
        build_model("model.box_head.nms_sigma=0")
