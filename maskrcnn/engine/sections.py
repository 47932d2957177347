"""What `evaluate.py metrics=[...]` says besides COCO's numbers: each prints a table, and is a part of metrics.json.

- fixed_iou: TP / (TP + FP + FN) of masks at IoU 0.5 to 0.9, as microscopy reports it (`maskrcnn.evaluation.fixed_iou`):
  {"all": {"score_threshold", "mean", "AP": {"0.50": ..}, "TP", "FP", "FN"}, "best": the same at the best score
  threshold, "per_class": {class: the same at the score threshold asked for}}
"""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from maskrcnn.engine.report import number
from maskrcnn.engine.scored import Scored
from maskrcnn.evaluation.fixed_iou import THRESHOLDS, FixedIou, count, find_best, match_without_overlaps


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


SECTIONS: dict[str, Callable[[Scored, Console], dict[str, Any]]] = {"fixed_iou": fixed_iou}
