"""Looks on while a checkpoint is scored, and takes down where missed objects were lost."""

from typing import Any

import pytorch_lightning as pl

from maskrcnn.engine import ranks
from maskrcnn.engine.mean_ap import find_mean_ap
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.evaluation.pairing import pair
from maskrcnn.inspection.funnel import Missed, find_missed
from maskrcnn.structures import Batch


class Funnel(pl.Callback):
    """Detects once more in each batch with a missed object, step by step. Comes after `MeanAP`.

    Args:
        iou: of masks, from which on an object is found.

    Attributes:
        missed: objects by picture, on the main process after a validation; the pictures without one, too.

    Raises:
        ValueError: iou is not above 0 and at most 1.
    """

    def __init__(self, iou: float) -> None:
        if not 0 < iou <= 1:
            raise ValueError(f"funnel_iou is {iou}; give an IoU above 0 and at most 1, such as 0.5")
        self.iou = iou
        self.missed: dict[int, list[Missed]] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.missed = {}

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        assert isinstance(pl_module, MaskRCNNModule)
        mean_ap = find_mean_ap(trainer)
        assert mean_ap is not None
        mean_ap.finish()
        evaluator, indices = mean_ap.evaluator, batch.indices.tolist()
        pairings = [
            pair(evaluator.predictions[i], evaluator.objects[i], "segm", self.iou, evaluator.max_detections)
            for i in indices
        ]
        with trainer.precision_plugin.val_step_context():
            found = find_missed(
                pl_module.model, batch.images, batch.image_sizes, batch.original_sizes, pairings, self.iou
            )
        self.missed.update(zip(indices, found))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.missed = ranks.gather(self.missed)
