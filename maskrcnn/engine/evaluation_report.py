"""What `report.html` of a run and of an evaluation is put together from."""

import json
from html import escape
from pathlib import Path
from typing import Any

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.scored import Scored
from maskrcnn.evaluation.coco import CocoEvaluator
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
from maskrcnn.run_files import receipt_file
from maskrcnn.run_files.metric_curves import read_curves


def write_evaluation_report(
    folder: Path,
    checkpoint: Path,
    override: list[str],
    numbers: dict[str, Any],
    curves: dict[str, Any],
    scored: Scored,
    funnel: bool,
) -> Path:
    """Writes `report.html` of an evaluation: what was found, and the run that the checkpoint is of.

    Args:
        folder: of the evaluation; checkpoint: that was evaluated; override: changes to its configuration.
        numbers: content of metrics.json; curves: of curves.json; scored: all detections.
        funnel: whether funnel.json and errors.json were written there.

    Returns:
        The file.
    """
    data = scored.data
    said = [
        headline(numbers),
        f"checkpoint {escape(str(checkpoint))}",
        f"{len(scored.evaluator.predictions)} pictures of {escape(str(data.val_annotations.file))}",
    ]
    if override:
        said.append(f"with {escape(' '.join(override))}")
    found = evaluation_sections(
        numbers, curves, scored.evaluator, data, scored.score_threshold, folder if funnel else None
    )
    path = folder / "report.html"
    sections = found + run_sections(checkpoint.resolve().parent.parent)
    write_report(f"Evaluation of {checkpoint.name}", "<br>".join(said), sections, path)
    return path


def run_sections(run: Path) -> list[str]:
    """What the files of a run say of its training; empty where it has none."""
    receipt = receipt_file.read(run) if (run / receipt_file.NAME).is_file() else None
    return [receipt_section(receipt), training_section(read_curves(run, "step"))]


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
    if funnel is None:
        lost = ""
        errors = errors_section({"iou": IOU, "errors": {"segm": count_errors(evaluator, "segm", IOU)}}, Path())
    else:
        lost = funnel_section(json.loads((funnel / "funnel.json").read_text(encoding="utf-8")), funnel)
        errors = errors_section(json.loads((funnel / "errors.json").read_text(encoding="utf-8")), funnel)
    worst, best = rank(evaluator, score_threshold)
    return [
        scores_section(numbers),
        slices_section(numbers.get("slices", {})),
        fixed_iou_section(numbers["fixed_iou"]) if "fixed_iou" in numbers else "",
        *curves_sections(curves["segm"]),
        lost,
        errors,
        gallery_section(worst, best, records, data.read, classes, score_threshold),
    ]


def headline(numbers: dict[str, Any]) -> str:
    """The two numbers of all."""
    return f"mask AP <b>{number(numbers['segm/AP'])}</b>, box AP <b>{number(numbers['bbox/AP'])}</b>"
