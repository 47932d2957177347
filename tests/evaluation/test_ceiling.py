"""What small masks themselves cost: ground truth through the whole path of masks, and back."""

from pathlib import Path

import pytest
import torch

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.results import coco_results
from maskrcnn.ops.masks import crop_masks
from maskrcnn.structures import Batch, Detections


@pytest.mark.parametrize(("cells", "least"), [(28, 0.95), (20, 0.99)])  # the paper's, and the small preset's
def test_what_ground_truth_through_masks_of_few_cells_scores(tmp_path: Path, cells: int, least: float) -> None:
    overrides = ["data.source.train_pictures=1", "data.source.val_pictures=60", "data.workers=0"]
    data = build(to_plain(compose([*overrides, f"data.root={tmp_path}"]))["data"], [])
    data.prepare_data()
    data.setup()
    truth = data.val_annotations.ground_truth()
    evaluator = CocoEvaluator(truth, list(data.classes), max_detections=100, backend="hotcoco")
    for batch in data.val_dataloader():
        assert isinstance(batch, Batch)
        targets = batch.targets
        boxes = targets.boxes.flatten(0, 1)
        unit = torch.tensor([0.0, 0.0, 1.0, 1.0])
        boxes = torch.where(targets.valid.flatten()[:, None], boxes, unit)
        masks = targets.masks.flatten(0, 1).float() / 255
        masks = crop_masks(masks, targets.mask_sizes.flatten(0, 1), boxes, boxes, cells, 2)
        perfect = Detections(
            targets.boxes,
            torch.ones_like(targets.valid, dtype=torch.float32),
            targets.labels,
            masks.unflatten(0, targets.valid.shape),
            targets.valid,
        )
        evaluator.update(
            coco_results(perfect, batch.image_sizes, batch.original_sizes, batch.indices, paste="continuous")
        )
    scores = evaluator.compute()
    assert scores["bbox/AP"] == 1.0
    assert scores["segm/AP"] >= least
