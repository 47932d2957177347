"""Writes a run's report.html once it is trained."""

import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine import receipt_file
from maskrcnn.engine.curve import curves
from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.curves import make_curves
from maskrcnn.evaluation.errors import count_errors
from maskrcnn.report.analysis import curves_sections
from maskrcnn.report.errors import errors_section, funnel_section
from maskrcnn.report.gallery import gallery_section
from maskrcnn.report.page import write_report
from maskrcnn.report.ranking import IOU, rank
from maskrcnn.report.receipt import receipt_section
from maskrcnn.report.scores import fixed_iou_section, scores_section, slices_section
from maskrcnn.report.section import number
from maskrcnn.report.training import training_section


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
        mean_ap = next((one for one in getattr(trainer, "callbacks") if isinstance(one, MeanAP)), None)
        if mean_ap is not None and mean_ap.evaluator.predictions:
            evaluator, data = mean_ap.evaluator, getattr(trainer, "datamodule")
            numbers = {**evaluator.compute(), "per_class": evaluator.per_class()}
            curves = make_curves(evaluator, self.score_threshold)
            said = f"{headline(numbers)} in the last validation, {said}"
            sections += evaluation_sections(numbers, curves, evaluator, data, self.score_threshold, None)
        write_report(f"Run {self.directory.resolve().name}", said, sections, self.directory / "report.html")


def run_sections(run: Path) -> list[str]:
    """What the files of a run say of its training; empty where it has none."""
    receipt = receipt_file.read(run) if (run / receipt_file.NAME).is_file() else None
    return [receipt_section(receipt), training_section(curves(run, "step"))]


def evaluation_sections(
    numbers: dict[str, Any],
    curves: dict[str, Any],
    evaluator: CocoEvaluator,
    data: CocoDataModule,
    score_threshold: float,
    funnel: Path | None,
) -> list[str]:
    """What was found in the validation pictures.

    Args:
        numbers: content of metrics.json; curves: of curves.json.
        evaluator: with the predictions; data: whose validation pictures they are.
        score_threshold: see `gallery_section`.
        funnel: folder with funnel.json and errors.json; None where they were not asked for.
    """
    records, classes = data.val_annotations.records, list(data.classes)
    lost, oracles = "", None
    if funnel is not None:
        lost = funnel_section(json.loads((funnel / "funnel.json").read_text()), funnel)
        oracles = json.loads((funnel / "errors.json").read_text())["oracles"]
    worst, best = rank(evaluator, score_threshold)
    return [
        scores_section(numbers),
        slices_section(numbers.get("slices", {})),
        fixed_iou_section(numbers["fixed_iou"]) if "fixed_iou" in numbers else "",
        *curves_sections(curves["segm"]),
        lost,
        errors_section(count_errors(evaluator, "segm", IOU), oracles),
        gallery_section(worst, best, records, data.read, classes, score_threshold),
    ]


def headline(numbers: dict[str, Any]) -> str:
    """The two numbers of all."""
    return f"mask AP <b>{number(numbers['segm/AP'])}</b>, box AP <b>{number(numbers['bbox/AP'])}</b>"
