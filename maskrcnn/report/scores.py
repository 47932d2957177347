"""Tables of scores."""

from typing import Any

from maskrcnn.page.html import table
from maskrcnn.report.section import number, section

ROWS = {
    "AP": "mean over IoU 0.5 to 0.95",
    "AP50": "at IoU 0.5",
    "AP75": "at IoU 0.75",
    "APs": "objects below 32 x 32 pixels",
    "APm": "from 32 x 32 to 96 x 96",
    "APl": "above 96 x 96",
}
KINDS = {"segm": "mask", "bbox": "box"}


def scores_section(numbers: dict[str, Any]) -> str:
    """Average precision overall, per size and per class, and average recall.

    Args:
        numbers: content of metrics.json: "segm/AP" and so on, and "per_class" of them.
    """
    if "segm/AP" not in numbers:
        return ""
    recalls = sorted(
        (name.removeprefix("segm/AR") for name in numbers if name.startswith("segm/AR")),
        key=lambda end: (not end.isdigit(), int(end) if end.isdigit() else "sml".index(end)),
    )
    meant = ROWS | {f"AR{end}": _recall(end) for end in recalls}
    head = ["", *KINDS.values(), "average precision (AP) and recall (AR)"]
    overall = [(name, *(number(numbers[f"{kind}/{name}"]) for kind in KINDS), what) for name, what in meant.items()]
    classes = [
        (name, *(number(values[f"{kind}/{row}"]) for row in ("AP", "AP50") for kind in KINDS))
        for name, values in sorted(numbers["per_class"].items(), key=lambda item: -_finite(item[1]["segm/AP"]))
    ]
    heads = ["class", *(f"{kind} {row}" for row in ("AP", "AP50") for kind in KINDS.values())]
    return section("Scores", f'<div class="beside">{table(head, overall)}{table(heads, classes)}</div>')


def _recall(end: str) -> str:
    if end.isdigit():
        return f"recall with {end} detection{'' if end == '1' else 's'} of a class in a picture"
    return f"recall of {dict(s='small', m='medium', l='large')[end]} objects"


def _finite(value: float) -> float:
    return value if value == value else -1.0


def slices_section(slices: dict[str, dict[str, Any]]) -> str:
    """Scores of parts of the data.

    Args:
        slices: "slices" of metrics.json.
    """
    keys = {"segm/AP": "mask AP", "segm/AP50": "mask AP50", "segm/AR": "mask AR", "bbox/AP": "box AP"}
    rows = [
        (name, one["condition"], one["pictures"], one["objects"], *(number(one[key]) for key in keys))
        for name, one in slices.items()
    ]
    return section("Slices", table(["", "condition", "pictures", "objects", *keys.values()], rows)) if rows else ""


def fixed_iou_section(found: dict[str, Any]) -> str:
    """TP / (TP + FP + FN) by IoU.

    Args:
        found: "fixed_iou" of metrics.json.
    """
    chosen, best = found["all"], found["best"]
    rows = [
        (iou, number(value), *(chosen[name][iou] for name in ("TP", "FP", "FN")), number(best["AP"][iou]))
        for iou, value in chosen["AP"].items()
    ]
    rows.append(("mean", number(chosen["mean"]), "", "", "", number(best["mean"])))
    head = ["IoU", f"from score {chosen['score_threshold']:g}", "TP", "FP", "FN"]
    return section("TP / (TP + FP + FN)", table([*head, f"best: from {best['score_threshold']:.3f}"], rows))
