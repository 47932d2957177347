"""Logs COCO's mean average precision after each validation."""

import time
import warnings
from collections import deque
from functools import partial
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.views import take_census
from maskrcnn.engine import ranks
from maskrcnn.engine.result_workers import ResultWorkers
from maskrcnn.engine.transfer import Transfer
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.part import find_part
from maskrcnn.evaluation.tables import IOU_TYPES, Backend
from maskrcnn.ops.paste import Convention
from maskrcnn.structures import Batch, Detections


def make_evaluator(data: CocoDataModule, max_detections: int, backend: Backend) -> CocoEvaluator:
    """The evaluator of the validation pictures; warns where it counts fewer detections than a picture has objects."""
    most = int(take_census(data.val_annotations.records).counts.max(initial=0))
    if most > max_detections:
        warnings.warn(
            f"{data.val_annotations.file} has up to {most} objects in a picture, more than the "
            f"{max_detections} detections that are kept: raise model.box_head.max_detections, or AP suffers",
            stacklevel=2,
        )
    return CocoEvaluator(
        data.val_annotations.ground_truth(), list(data.classes), max_detections=max_detections, backend=backend
    )


class MeanAP(pl.Callback):
    """Collects the detections of a validation, scores them, and logs the 12 numbers of boxes and of masks.

    Rank 0 scores the detections of all ranks, and is the only one whose evaluator holds any afterwards.

    Args:
        prefix: comes before their names.
        max_detections: how many detections a class in a picture may have; the model's own cap.
        paste: how masks are put into the picture, see `maskrcnn.ops.paste`.
        backend: which library matches detections with the ground truth, see `maskrcnn.evaluation.tables`.
        workers: processes that put masks into pictures, encode and match them while the device goes on; the results
            are the same. With 0 the main process does it between two batches.
        per_class: log the AP of each class too, as segm/AP/<name> and bbox/AP/<name>; NaN for one without objects.

    Raises:
        ValueError: workers is negative.
    """

    evaluator: CocoEvaluator

    def __init__(
        self,
        *,
        prefix: str,
        max_detections: int,
        paste: Convention,
        backend: Backend,
        workers: int,
        per_class: bool,
    ) -> None:
        if workers < 0:
            raise ValueError(f"callbacks.mean_ap.workers is {workers}; give a number of processes, or 0 for none")
        self.prefix, self.max_detections, self.paste, self.backend = prefix, max_detections, paste, backend
        self.per_class = per_class
        self.workers = ResultWorkers(workers)
        self.under_way: deque[Transfer[tuple[Detections, Tensor, Tensor, Tensor]]] = deque()
        self.seconds = 0.0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.workers.start()
        data: CocoDataModule = getattr(trainer, "datamodule")
        self.evaluator = make_evaluator(data, self.max_detections, self.backend)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.evaluator.reset()
        self.seconds = time.perf_counter()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        transfer = Transfer((outputs, batch.image_sizes, batch.original_sizes, batch.indices))
        self.under_way.append(transfer)
        # A GPU's batch is handed over when the next one is under way, so that it need not wait for us.
        while len(self.under_way) > transfer.on_gpu:
            self._hand_over()

    def _hand_over(self) -> None:
        values = self.under_way.popleft().wait()
        matcher = self.evaluator.matcher(values[-1].tolist())
        for part in self.workers.call(partial(find_part, *values, paste=self.paste, matcher=matcher)):
            self.evaluator.add(part)

    def finish(self) -> None:
        """Waits until the evaluator has the results of all batches so far."""
        while self.under_way:
            self._hand_over()
        for part in self.workers.finish():
            self.evaluator.add(part)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.finish()
        self.evaluator.join(ranks.collect(self.evaluator.part()))
        scores = ranks.from_main(self._scores() if trainer.is_global_zero else {})
        pl_module.log_dict({f"{self.prefix}{name}": score for name, score in scores.items()})
        self.seconds = time.perf_counter() - self.seconds

    def _scores(self) -> dict[str, float]:
        scores = self.evaluator.compute()
        if self.per_class:
            for name, numbers in self.evaluator.per_class().items():
                scores |= {f"{kind}/AP/{name}": numbers[f"{kind}/AP"] for kind in IOU_TYPES}
        return scores

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.workers.close()


def find_mean_ap(trainer: pl.Trainer) -> MeanAP | None:
    """The callback of a run that scores its validations, if it has one."""
    callbacks: list[pl.Callback] = getattr(trainer, "callbacks")
    return next((one for one in callbacks if isinstance(one, MeanAP)), None)
