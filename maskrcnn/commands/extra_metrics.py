"""What `evaluate.py metrics=[...]` says besides COCO's numbers: each prints a table, and is a part of metrics.json.

- fixed_iou: TP / (TP + FP + FN) of masks at IoU 0.5 to 0.9, as microscopy reports it (`maskrcnn.evaluation.fixed_iou`):
  {"all": {"score_threshold", "mean", "AP": {"0.50": ..}, "TP", "FP", "FN"}, "best": the same at the best score
  threshold, "per_class": {class: the same at the score threshold asked for}}
- boundary: boundary AP of masks (`maskrcnn.evaluation.boundary`): {"AP", "AP50", "AP75"}
- lvis: AP by LVIS's rules (`maskrcnn.evaluation.lvis`): {"bbox" and "segm": {"AP", "AP50", "AP75", "APr", "APc",
  "APf"}}
- package.function of a plugin: what it returns.
"""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from maskrcnn.config.check import resolve_target
from maskrcnn.config.suggest import suggest
from maskrcnn.data.attributes import read_attributes
from maskrcnn.engine.scored import Scored
from maskrcnn.evaluation.boundary import boundary_scores
from maskrcnn.evaluation.fixed_iou import THRESHOLDS, FixedIou, count, find_best, match_without_overlaps
from maskrcnn.evaluation.lvis import FREQUENCIES, lvis_scores
from maskrcnn.evaluation.tables import IOU_TYPES
from maskrcnn.report.section import number


def fixed_iou(scored: Scored, console: Console) -> dict[str, Any]:
    """TP / (TP + FP + FN), at the score threshold asked for and at the best one."""
    matches = match_without_overlaps(scored.evaluator)
    rows: dict[str, FixedIou] = {
        "all": count(matches, scored.score_threshold),
        "best": find_best(matches),
        **{name: count([of_class], scored.score_threshold) for name, of_class in zip(scored.data.classes, matches)},
    }
    chosen, best = rows["all"], rows["best"]
    columns = (f"from score {chosen.score_threshold:g}", "TP", "FP", "FN", f"best: from {best.score_threshold:.3f}")
    table = Table("IoU", *columns, title="TP / (TP + FP + FN) of masks")
    for iou, own, right, wrong, other in zip(THRESHOLDS, chosen.scores(), chosen.right, chosen.wrong, best.scores()):
        counts = (str(value) for value in (right, wrong, chosen.objects - right))
        table.add_row(f"{iou:.2f}", number(own), *counts, number(other))
    table.add_section()
    table.add_row("mean", number(float(chosen.scores().mean())), "", "", "", number(float(best.scores().mean())))
    console.print(table)
    found = {name: row.as_json() for name, row in rows.items()}
    return {"all": found.pop("all"), "best": found.pop("best"), "per_class": found}


def boundary(scored: Scored, console: Console) -> dict[str, Any]:
    """AP that asks for good outlines."""
    scores = boundary_scores(scored.evaluator)
    table = Table(*scores, title="boundary AP")
    table.add_row(*map(number, scores.values()))
    console.print(table)
    return dict(scores)


def lvis(scored: Scored, console: Console) -> dict[str, Any]:
    """AP by LVIS's rules, of what its annotation files say beyond COCO's.

    Raises:
        ValueError: the file says nothing of them.
    """
    data, classes = scored.data, list(scored.data.classes)
    files = read_attributes(data.validation_files(), data.val_annotations.records)
    names = {id_: entry["name"] for id_, entry in files.categories.items()}
    frequency = {
        classes.index(entry["name"]): entry["frequency"]
        for entry in files.categories.values()
        if entry["name"] in classes and entry.get("frequency") in FREQUENCIES
    }
    if not frequency or not any("neg_category_ids" in entry for entry in files.pictures.values()):
        raise ValueError(
            f"metrics=[lvis] needs 'frequency' (r, c, f) of the categories and 'neg_category_ids' of the images, which "
            f"{data.val_annotations.file} does not have: it is no LVIS annotation file"
        )
    absent, incomplete = (
        {
            picture: {classes.index(names[id_]) for id_ in entry.get(key, ()) if names.get(id_) in classes}
            for picture, entry in files.pictures.items()
        }
        for key in ("neg_category_ids", "not_exhaustive_category_ids")
    )
    found = {iou_type: lvis_scores(scored.evaluator, iou_type, absent, incomplete, frequency) for iou_type in IOU_TYPES}
    table = Table("", *found["segm"], title="average precision by the rules of LVIS")
    for name, scores in zip(("box", "mask"), found.values()):
        table.add_row(name, *map(number, scores.values()))
    console.print(table)
    return {str(kind): scores for kind, scores in found.items()}


Metric = Callable[[Scored, Console], dict[str, Any]]
EXTRA_METRICS: dict[str, Metric] = {
    "fixed_iou": fixed_iou,
    "boundary": boundary,
    "lvis": lvis,
}


def find_metric(name: str, plugins: list[str]) -> Metric:
    """What a name in `metrics` stands for: one of ours, or a function of a plugin by its whole name.

    Raises:
        ValueError: there is no such metric, or it lies in no plugin.
    """
    if name in EXTRA_METRICS:
        return EXTRA_METRICS[name]
    package, dot, _ = name.partition(".")
    if not dot:
        raise ValueError(f"metrics: there is no {name!r}. {suggest(name, EXTRA_METRICS)}".rstrip())
    if package not in plugins:
        raise ValueError(f"metrics: {name!r} is a function of a package that was not named: add plugins=[{package}]")
    return resolve_target(name, "metrics", plugins)
