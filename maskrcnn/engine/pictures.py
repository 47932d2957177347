"""Saves pictures of ground truth beside prediction after each validation."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from maskrcnn.engine import ranks
from maskrcnn.evaluation.results import Result, coco_results
from maskrcnn.inspection.truth import truth_of
from maskrcnn.ops.paste import Convention
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.structures import Batch
from maskrcnn.visualize.sheet import contact_sheet, save_png, side_by_side


class Pictures(pl.Callback):
    """Draws the same few validation pictures each time, evenly spread over the data set, into one sheet.

    Args:
        directory: where `step_NNNNNN.png` is written.
        count: pictures on the sheet.
        score_threshold: detections that score less are not drawn; where that leaves none, the best score is written.
        paste: how masks are put into the picture.
    """

    def __init__(self, *, directory: str, count: int, score_threshold: float, paste: Convention) -> None:
        self.directory, self.count = Path(directory), count
        self.score_threshold, self.paste = score_threshold, paste
        self.results: dict[int, list[Result]] = {}

    def _chosen(self, total: int) -> set[int]:
        return {round(i * (total - 1) / max(self.count - 1, 1)) for i in range(min(self.count, total))}

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        data: Any = getattr(trainer, "datamodule")
        chosen = self._chosen(len(data.val_annotations.records))
        if chosen.isdisjoint(batch.indices.tolist()):
            return
        found = coco_results(outputs, batch.image_sizes, batch.original_sizes, batch.indices, paste=self.paste)
        self.results.update({index: results for index, results in found.items() if index in chosen})

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        found, self.results = ranks.gather(self.results), {}
        if not found:
            return
        data: Any = getattr(trainer, "datamodule")
        classes = list(data.classes)
        pairs = []
        for index, results in sorted(found.items()):
            record = data.val_annotations.records[index]
            size = (record.height, record.width)
            drawn = [result for result in results if result["score"] >= self.score_threshold]
            shown = Prediction(size, classes, drawn)
            picture = data.read(record.path, size)
            said = caption([result["score"] for result in results], self.score_threshold)
            pairs.append(side_by_side(picture, truth_of(record), shown.instances(), classes, said))
        self.directory.mkdir(parents=True, exist_ok=True)
        save_png(self.directory / f"step_{trainer.global_step:06d}.png", contact_sheet(pairs, columns=2))


def caption(scores: list[float], threshold: float) -> str:
    """What stands above predictions of which those below a threshold are left out."""
    none = bool(scores) and max(scores) < threshold
    return f"prediction, from score {threshold:g}" + (f": none, the best is {max(scores):.2f}" if none else "")
