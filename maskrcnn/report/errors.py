"""Kinds of errors, what perfect parts would give, and where objects were lost."""

import json
from html import escape
from pathlib import Path
from typing import Any

import cv2

from maskrcnn.page.html import scrolling, table
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


def errors_section(errors: dict[str, Any], oracles: dict[str, Any] | None) -> str:
    """What is wrong with detections, and what it costs.

    Args:
        errors: of `maskrcnn.evaluation.errors.count_errors` for masks.
        oracles: of `maskrcnn.evaluation.oracles.ask_oracles`; None where they were not asked.
    """
    said = (
        f"<p>Of all detections, whatever they score. AP50 of masks is <b>{number(errors['AP'])}</b>; the table says "
        "what it would be without the errors of a kind.</p>"
    )
    rows = [("", (kind, row["count"], number(row["AP"]), MEANINGS[kind])) for kind, row in errors["kinds"].items()]
    ordered = sorted(errors["classes"].items(), key=lambda item: -sum(item[1].values()))[:CLASSES]
    classes = [("", (name, *counts.values())) for name, counts in ordered]
    parts = [
        table(["error", "number", "AP50 without", ""], rows),
        table(["of class", *errors["kinds"]], classes),
    ]
    if oracles is not None:
        names = list(dict.fromkeys(name for kind in ("segm", "bbox") for name in oracles[kind]))
        answers = [
            (
                "",
                (
                    name,
                    *(number(oracles[kind][name]["AP"]) if name in oracles[kind] else "" for kind in ("segm", "bbox")),
                ),
            )
            for name in names
        ]
        parts.append(table(["if perfect were", "mask AP", "box AP"], answers))
    return section("Errors", said, f'<div class="beside">{"".join(parts)}</div>')


def funnel_section(funnel: dict[str, Any], folder: Path) -> str:
    """Where objects were lost, step by step of the network, with pictures of them.

    Args:
        funnel: content of funnel.json; folder: that its pictures are named from.
    """
    counts = funnel["counts"]["all"]
    said = f"<p>{counts['found']} of {counts['objects']} objects were found at IoU {funnel['iou']:g} of masks.</p>"
    rows = [
        (
            "",
            (
                bucket["lost"],
                bucket["title"],
                bucket["remedy"],
                ", ".join(f"{key}={json.dumps(value)}" for key, value in bucket["keys"].items()),
            ),
        )
        for bucket in funnel["buckets"]
        if bucket["lost"]
    ]
    shown = [
        said,
        scrolling((folder / funnel["chart"]).read_text()),
        table(["lost", "where", "what may help", "keys"], rows),
    ]
    for bucket in funnel["buckets"]:
        sheet = None if bucket["gallery"] is None else cv2.imread(str(folder / bucket["gallery"]))
        if sheet is not None:
            title = f"{bucket['title']}: {bucket['lost']}"
            image = f'<img alt="{escape(title)}" src="{data_url(shrink(sheet[..., ::-1], SIDE))}">'
            shown.append(f"<details><summary>{escape(title)}</summary>{image}</details>")
    return section("Lost objects", *shown)
