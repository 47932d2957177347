"""What lies behind average precision: curves, best scores, confusion and calibration of masks."""

from html import escape
from typing import Any

from maskrcnn.page.html import scrolling, table
from maskrcnn.page.lines import COLOURS, GREY, Line, colour, legend, lines
from maskrcnn.report.section import number, section

UNIT = (0.0, 1.0)
NAMED = 20  # classes up to which there is a matrix of them


def curves_sections(curves: dict[str, Any]) -> list[str]:
    """Precision and recall, confusion, and calibration.

    Args:
        curves: "segm" of `maskrcnn.evaluation.curves.make_curves`.
    """
    return [_precision_recall(curves), _confusion(curves["confusion"]), _calibration(curves["calibration"])]


def _precision_recall(curves: dict[str, Any]) -> str:
    known = curves["precision_recall"]
    whole = [
        Line(f"all, IoU {iou}", shade, _points(known["recall"], known["all"][iou]), dashes)
        for iou, shade, dashes in (("0.50", "#222", ""), ("0.75", "#222", "5 4"))
    ]
    classes = {name: values["0.50"] for name, values in known["classes"].items() if values["0.50"][0] is not None}
    shown = classes if len(classes) <= len(COLOURS) else {}
    drawn = whole + [
        Line(name, colour(i), _points(known["recall"], values)) for i, (name, values) in enumerate(shown.items())
    ]
    thresholds = curves["thresholds"]
    f1 = [
        Line(name, colour(i) if shown else GREY, _points(thresholds["score"], values["f1"]))
        for i, (name, values) in enumerate((name, thresholds["classes"][name]) for name in classes)
    ]
    rows = [
        (name, *(number(found and found[key]) for key in ("score", "precision", "recall", "f1")))
        for name, found in sorted(curves["best"].items(), key=lambda item: -(item[1] or {"f1": -1})["f1"])
    ]
    best = table(["class", "best from score", "precision", "recall", "F1"], rows)
    return section(
        "Precision and recall",
        lines("precision by recall, classes at IoU 0.5", "recall", drawn, 1.0, legend(drawn), UNIT),
        lines("F1 by the score from which on detections count", "score", f1, 1.0, legend(f1) if shown else "", UNIT),
        best,
    )


def _points(across: list[float], values: list[float | None]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in zip(across, values) if y is not None]


def _confusion(confusion: dict[str, Any]) -> str:
    """Objects by their class and the class found: as a matrix, and the most frequent errors of many classes."""
    names, matrix = confusion["names"], confusion["matrix"]
    true, found = [*names[:-1], "nothing"], [*names[:-1], "not found"]
    said = (
        f"<p>Objects by what was found in their place, at IoU 0.5 and score {confusion['score_threshold']:g} or more. "
        "The last row are detections where no object is.</p>"
    )
    if len(true) - 1 <= NAMED:
        return section("Confusion", said, _matrix(true, found, matrix))
    errors = [
        (count, true[row], found[column])
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    rows = [(was, taken, count) for count, was, taken in sorted(errors, key=lambda error: -error[0])[:NAMED]]
    return section("Confusion", said, table(["true", "found", "number"], rows))


def _matrix(true: list[str], found: list[str], matrix: list[list[int]]) -> str:
    """Counts, the darker the larger in their row."""
    head = "".join(f"<th>{escape(name)}</th>" for name in found)
    rows = []
    for row, (name, counts) in enumerate(zip(true, matrix)):
        cells = []
        for column, count in enumerate(counts):
            shade = f"rgba({'59,125,216' if row == column else '224,123,57'},{0.8 * count / max(*counts, 1):.2f})"
            cells.append(f'<td style="background:{shade}">{count or ""}</td>')
        rows.append(f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>")
    return scrolling(f'<table class="matrix"><tr><th>true \\ found</th>{head}</tr>{"".join(rows)}</table>')


def _calibration(calibration: dict[str, Any]) -> str:
    whole = calibration["all"]
    if whole["ece"] is None:
        return ""
    bins = [one for one in whole["bins"] if one["count"]]
    drawn = [
        Line("detections", colour(0), [(one["score"], one["right"]) for one in bins]),
        Line("as it should be", GREY, [(0.0, 0.0), (1.0, 1.0)], "5 4"),
    ]
    chart = lines("share of right detections by score", "score", drawn, 1.0, legend(drawn), UNIT)
    rows = [
        (f"{one['low']:.1f} to {one['high']:.1f}", one["count"], number(one["score"]), number(one["right"]))
        for one in bins
    ]
    said = (
        f"<p>A score is calibrated where it is the share of such detections that are right (IoU 0.5). On average over "
        f"the detections it is off by <b>{number(whole['ece'])}</b> (expected calibration error).</p>"
    )
    counts = table(["scores", "detections", "mean score", "right"], rows)
    return section("Calibration", said, f'<div class="beside">{chart}{counts}</div>')
