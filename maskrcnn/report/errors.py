"""Kinds of errors, what perfect parts would give, and where objects were lost."""

import json
from html import escape
from pathlib import Path
from typing import Any

import cv2

from maskrcnn.page.html import folded, scrolling, table
from maskrcnn.page.picture import data_url, shrink
from maskrcnn.report.section import number, section

MEANINGS = {
    "class": "the place is right, the class is not",
    "localisation": "the class is right, the mask overlaps its object too little",
    "both": "neither place nor class is right",
    "duplicate": "of an object that a better detection has found",
    "background": "there is nothing",
    "missed": "objects that nothing found, nor would with its class or place mended",
}
CLASSES = 30  # with the most errors, that are listed
SIDE = 1000  # pixels of a gallery's longer side


def errors_section(found: dict[str, Any], folder: Path) -> str:
    """What is wrong with detections, and what it costs.

    Args:
        found: as in errors.json: "iou" and "errors" of masks; "oracles" and "galleries" where there are any.
        folder: that galleries are named from.
    """
    errors, iou = found["errors"]["segm"], found["iou"]
    said = (
        f"<p>Of all detections, whatever they score. AP of masks at IoU {iou:g} is <b>{number(errors['AP'])}</b>; the "
        "table says what it would be without the errors of a kind.</p>"
    )
    rows = [(kind, row["count"], number(row["AP"]), MEANINGS[kind]) for kind, row in errors["kinds"].items()]
    ordered = sorted(errors["classes"].items(), key=lambda item: -sum(item[1].values()))[:CLASSES]
    classes = [(name, *counts.values()) for name, counts in ordered]
    parts = [
        table(["error", "number", "AP without", ""], rows),
        table(["of class", *errors["kinds"]], classes),
        _oracles(found["oracles"]) if "oracles" in found else "",
    ]
    sheets = (
        _unfolded(folder / sheet, f"{kind} errors, the highest scores first")
        for kind, sheet in found.get("galleries", {}).items()
        if sheet is not None
    )
    return section("Errors", said, f'<div class="beside">{"".join(parts)}</div>', *sheets)


def _oracles(oracles: dict[str, Any]) -> str:
    kinds = ("segm", "bbox")
    names = dict.fromkeys(name for kind in kinds for name in oracles[kind])
    rows = [
        (name, *(number(oracles[kind][name]["AP"]) if name in oracles[kind] else "" for kind in kinds))
        for name in names
    ]
    return table(["if perfect were", "mask AP", "box AP"], rows)


def funnel_section(funnel: dict[str, Any], folder: Path) -> str:
    """Where objects were lost, step by step of the network, with pictures of them.

    Args:
        funnel: content of funnel.json; folder: that its pictures are named from.
    """
    counts = funnel["counts"]["all"]
    found = f"{counts['found']} of {counts['objects']} objects were found"
    said = f"<p>{found} at IoU {funnel['iou']:g} of masks, at any score.</p>"
    buckets = (_bucket(bucket, folder) for bucket in funnel["buckets"] if bucket["lost"])
    return section("Lost objects", said, scrolling((folder / funnel["chart"]).read_text(encoding="utf-8")), *buckets)


def _bucket(bucket: dict[str, Any], folder: Path) -> str:
    """One step that lost objects, what may help, and pictures to be unfolded."""
    keys = ", ".join(f"{key}={json.dumps(value)}" for key, value in bucket["keys"].items())
    title = escape(f"{bucket['lost']} {bucket['title']}")
    shown = f"<p><b>{title}</b>: {escape(bucket['remedy'])}<br><code>{escape(keys)}</code></p>"
    return shown + _unfolded(folder / bucket["gallery"], "pictures")


def _unfolded(sheet: Path, title: str) -> str:
    """A sheet of pictures that is shown when its title is clicked; nothing where the file is gone."""
    picture = cv2.imread(str(sheet))
    if picture is None:
        return ""
    return folded(title, f'<img alt="{escape(title)}" src="{data_url(shrink(picture[..., ::-1], SIDE))}">')
