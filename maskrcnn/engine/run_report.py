"""Writes a run's report.html once it is trained."""

from pathlib import Path

import pytorch_lightning as pl

from maskrcnn.engine.evaluation_report import evaluation_sections, headline, run_sections
from maskrcnn.engine.mean_ap import find_mean_ap
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
        if mean_ap is not None and mean_ap.evaluator.predictions:
            evaluator, data = mean_ap.evaluator, getattr(trainer, "datamodule")
            numbers = {**evaluator.compute(), "per_class": evaluator.per_class()}
            curves = make_curves(evaluator, self.score_threshold)
            said = f"{headline(numbers)} in the last validation, {said}"
            sections += evaluation_sections(numbers, curves, evaluator, data, self.score_threshold, None)
        write_report(f"Run {self.directory.resolve().name}", said, sections, self.directory / "report.html")
