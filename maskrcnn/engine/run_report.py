"""Writes a run's report.html once it is trained."""

import shlex
from html import escape
from pathlib import Path

import pytorch_lightning as pl

from maskrcnn.config.run_dir import last_checkpoint
from maskrcnn.engine.evaluation_report import evaluation_sections, headline, run_sections
from maskrcnn.engine.mean_ap import find_mean_ap
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.curves import make_curves
from maskrcnn.report.page import write_report


class RunReport(pl.Callback):
    """Writes `report.html` at the end of training: receipt, curves, and what the last validation found.

    Args:
        directory: the run's folder.
        score_threshold: where the slider of the pictures is at first; their quality counts detections from there on.
    """

    def __init__(self, *, directory: str, score_threshold: float) -> None:
        self.directory, self.score_threshold = Path(directory), score_threshold

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        sections = run_sections(self.directory)
        said = f"after {trainer.global_step} steps"
        mean_ap = find_mean_ap(trainer)
        evaluator = None if mean_ap is None else mean_ap.evaluator
        if evaluator is not None and evaluator.predictions and evaluator.ground_truth["annotations"]:
            numbers = {**evaluator.compute(), "per_class": evaluator.per_class()}
            curves = make_curves(evaluator, self.score_threshold)
            said = f"{headline(numbers)} in the last validation, {said}"
            data = getattr(trainer, "datamodule")
            sections += evaluation_sections(numbers, curves, evaluator, data, self.score_threshold, None)
        else:
            evaluate = ["python", "evaluate.py", f"checkpoint={last_checkpoint(self.directory)}"]
            if trainer.limit_val_batches == 0:
                evaluate.append('override=["trainer.limit_val_batches=1.0"]')
            why, command = escape(_why_unscored(trainer, evaluator)), escape(shlex.join(evaluate))
            said = f"{said}, without scores, as {why}. To score the weights: <code>{command}</code>"
        write_report(f"Run {self.directory.resolve().name}", said, sections, self.directory / "report.html")


def _why_unscored(trainer: pl.Trainer, evaluator: CocoEvaluator | None) -> str:
    if evaluator is None:
        return "callbacks.mean_ap is null"
    if trainer.limit_val_batches == 0:
        return "trainer.limit_val_batches=0 leaves validation out"
    if not evaluator.predictions:
        return "there was no validation since its last start"
    return f"{getattr(trainer, 'datamodule').val_annotations.file} has no annotations, which have to be added first"
