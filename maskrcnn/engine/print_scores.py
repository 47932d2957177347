"""Scores as tables in the terminal."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from maskrcnn.engine.console import say
from maskrcnn.report.section import number

ROWS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
CLASSES = 40  # rows that a terminal can show


def print_scores(console: Console, scores: dict[str, float], per_class: dict[str, dict[str, float]]) -> None:
    """Prints AP of boxes and masks, and of each class; of more than `CLASSES`, of the best and the worst.

    Args:
        scores: by "bbox/AP", "segm/AP", ...; per_class: by class, then by the same names.
    """
    table = Table("", "box", "mask", title="average precision")
    for row in ROWS:
        table.add_row(row, *(number(scores[f"{kind}/{row}"]) for kind in ("bbox", "segm")))
    table.add_section()
    rows = {name: [number(values[f"{kind}/AP"]) for kind in ("bbox", "segm")] for name, values in per_class.items()}
    _add_classes(table, rows, {name: values["segm/AP"] for name, values in per_class.items()})
    console.print(table)
    if scores["segm/AP"] == 0:
        console.print(
            "Mask AP is 0: no object was found well enough. Train longer, or look at which of the losses does not fall."
        )


def print_best(console: Console, curves: dict[str, Any]) -> None:
    """Prints the score of each class from which on masks have the highest F1 (of more than `CLASSES`, of the best and
    the worst), and how far scores can be taken for shares.

    Args:
        curves: of masks, see `maskrcnn.evaluation.curves`.
    """
    table = Table("", "from score", "precision", "recall", "F1", title="best score of each class, masks at IoU 0.5")
    keys = ("score", "precision", "recall", "f1")
    rows = {name: [number(best and best[key]) for key in keys] for name, best in curves["best"].items()}
    _add_classes(table, rows, {name: best["f1"] if best else math.nan for name, best in curves["best"].items()})
    console.print(table)
    ece = curves["calibration"]["all"]["ece"]
    if ece is not None:
        say(console, f"calibration error (ECE) of the scores: {ece:.3f}")


def _add_classes(table: Table, rows: dict[str, list[str]], ranks: dict[str, float]) -> None:
    """Adds the cells of each class by name; of many, those of the highest and the lowest ranks that are numbers."""
    if len(rows) <= CLASSES:
        for name, cells in rows.items():
            table.add_row(name, *cells)
        return
    ranked = sorted((name for name in rows if not math.isnan(ranks[name])), key=lambda name: -ranks[name])
    best, worst = ranked[: CLASSES // 2], ranked[CLASSES // 2 :][-CLASSES // 2 :]
    for name in best:
        table.add_row(name, *rows[name])
    table.add_section()
    table.add_row(f"{len(rows) - len(best) - len(worst)} others")
    table.add_section()
    for name in worst:
        table.add_row(name, *rows[name])
