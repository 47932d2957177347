"""Scores as tables in the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from maskrcnn.engine.console import say
from maskrcnn.report.section import number

ROWS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def print_scores(console: Console, scores: dict[str, float], per_class: dict[str, dict[str, float]]) -> None:
    """Prints AP of boxes and masks, and of each class.

    Args:
        scores: by "bbox/AP", "segm/AP", ...; per_class: by class, then by the same names.
    """
    table = Table("", "box", "mask", title="average precision")
    for row in ROWS:
        table.add_row(row, *(number(scores[f"{kind}/{row}"]) for kind in ("bbox", "segm")))
    table.add_section()
    for name, values in per_class.items():
        table.add_row(name, *(number(values[f"{kind}/AP"]) for kind in ("bbox", "segm")))
    console.print(table)
    if scores["segm/AP"] == 0:
        console.print(
            "Mask AP is 0: no object was found well enough. Train longer, or look at which of the losses does not fall."
        )


def print_best(console: Console, curves: dict[str, Any]) -> None:
    """Prints the score of each class from which on masks have the highest F1, and how far scores can be taken for
    shares.

    Args:
        curves: of masks, see `maskrcnn.evaluation.curves`.
    """
    table = Table("", "from score", "precision", "recall", "F1", title="best score of each class, masks at IoU 0.5")
    for name, best in curves["best"].items():
        table.add_row(name, *(number(best[key]) if best else "-" for key in ("score", "precision", "recall", "f1")))
    console.print(table)
    ece = curves["calibration"]["all"]["ece"]
    if ece is not None:
        say(console, f"calibration error (ECE) of the scores: {ece:.3f}")
