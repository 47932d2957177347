"""An inspection as one self-contained page."""

from html import escape
from pathlib import Path

import numpy as np

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.records import Record
from maskrcnn.inspection.finding import HEAD, MEANING, Finding
from maskrcnn.inspection.inspection import Inspection
from maskrcnn.inspection.part import Part
from maskrcnn.inspection.truth import truth_of
from maskrcnn.page.bars import bars, heat_map, histogram
from maskrcnn.page.html import table, write_html
from maskrcnn.page.picture import data_url, shrink
from maskrcnn.visualize.instances import draw_instances

PER_CLASS, CLASSES = 4, 30  # pictures of a class; classes that are shown, the rarest first
SIDE, LARGE = 330, 1024  # pixels of a shown picture's longer side; of one where something was found, once enlarged
SIZE_EDGES = [0.0, 4, 8, 16, 32, 64, 96, 128, 256, 512]  # pixels
COUNT_EDGES = [0.0, 1, 2, 5, 10, 20, 50, 100, 200]
# Cells of a word stand beside sentences, and a wider table scrolls. A click enlarges a picture with a hidden box.
STYLE = f"""
td {{ overflow-wrap: normal }}
label input {{ position: absolute; opacity: 0 }} label input:focus-visible + img {{ outline: 3px solid #3b7dd8 }}
label img {{ max-width: min({SIDE}px, 100vw - 2em); max-height: {SIDE}px; cursor: zoom-in }}
label input:checked + img {{ max-width: 100%; max-height: none; cursor: zoom-out }}
"""


def write_page(found: Inspection, read: PictureReader, path: Path) -> None:
    """Writes the page: findings, anchors, histograms, and pictures of the classes and of what was found.

    Args:
        found: by `inspect`.
        read: reads a picture of a height and width.
        path: of the HTML file; it is replaced.
    """
    sections = [_summary(found), _findings(found), _anchors(found)]
    for part in found.parts:
        sections += [f"<h2>{escape(part.name)}</h2>", _charts(part)]
        sections += ["<h3>Where something was found: a click enlarges</h3>", _suspicious(part, found, read)]
        sections += ["<h3>Classes, the rarest first</h3>", _classes(part, read)]
    title = ", ".join(str(file.split.annotations) for file in found.files)
    write_html(title, sections, path, STYLE)


def _summary(found: Inspection) -> str:
    head = ["", "pictures", "without objects", "objects", "classes", "most in a picture", "crowd regions"]
    rows = []
    for part in found.parts:
        content = part.content
        numbers = (len(part.records), int((content.counts == 0).sum()), len(content.labels), len(content.classes))
        rows.append((part.name, *numbers, content.counts.max(initial=0), content.crowds))
    shown = ""
    if found.pixels is not None:
        mean, std = (values.round(2).tolist() for values in found.pixels)
        shown = f"<p>Pixels of train: mean {mean}, standard deviation {std}</p>"
    return table(head, rows) + shown


def _findings(found: Inspection) -> str:
    findings = found.findings()
    if not findings:
        return "<h2>Findings</h2><p>Nothing is wrong with it.</p>"
    listed = table(HEAD, map(Finding.cells, findings), [finding.level for finding in findings])
    return f"<h2>Findings</h2>{listed}<p>{MEANING}</p>"


def _anchors(found: Inspection) -> str:
    if found.reach is None:
        return ""
    rows = [(size, number, f"{a:.1%}", f"{b:.1%}") for size, (number, a, b) in found.reach.by_size.items()]
    reached = table(["objects of train, at the network's size", "number", "reached at IoU 0.5", "at IoU 0.7"], rows)
    better = found.reach.suggestion
    if better is not None:
        reached += (
            f"<p>More would be reached ({better.reached[0]:.1%} and {better.reached[1]:.1%}) by "
            f"<code>model.anchors.scales={better.scales} model.anchors.ratios={better.ratios}</code></p>"
        )
    return f"<h2>Anchors</h2>{reached}"


def _charts(part: Part) -> str:
    content = part.content
    classes = sorted(zip(content.classes, content.per_class().tolist()), key=lambda item: -item[1])
    sides = np.sqrt(content.boxes[:, 2] * content.boxes[:, 3])
    return "".join(
        [
            bars(dict(classes), "objects by class"),
            bars(histogram(sides, SIZE_EDGES, " px"), "objects by size, at the network's size"),
            bars(histogram(content.counts, COUNT_EDGES, ""), "pictures by their number of objects"),
            heat_map(content.position_map(), "where objects lie"),
        ]
    )


def _suspicious(part: Part, found: Inspection, read: PictureReader) -> str:
    own = found.found[part.name].all()
    file = next(file for file in found.files if file.split == part.split)
    wanted = {picture for finding in own for picture in finding.pictures}
    records = {id_: file.records[index] for index, id_ in enumerate(file.records.ids()) if id_ in wanted}
    classes = file.annotations.classes
    figures = [
        _figure(records[picture], f"{finding.what}: {records[picture].name}", classes, read, enlarges=True)
        for finding in own
        for picture in finding.pictures
        if picture in records
    ]
    return "".join(figures) or "<p>Nowhere that a picture could show.</p>"


def _classes(part: Part, read: PictureReader) -> str:
    content = part.content
    shown = []
    for label in np.argsort(content.per_class(), kind="stable")[:CLASSES].tolist():
        holders = np.unique(content.pictures[content.labels == label])
        chosen = holders[np.linspace(0, len(holders) - 1, min(PER_CLASS, len(holders))).round().astype(int)]
        records = [part.records[index] for index in chosen.tolist()]
        figures = "".join(_figure(record, record.name, content.classes, read) for record in records)
        shown.append(f"<h4>{escape(content.classes[label])}</h4>{figures or '<p>no object</p>'}")
    return "".join(shown)


def _figure(
    record: Record, caption: str, classes: tuple[str, ...], read: PictureReader, *, enlarges: bool = False
) -> str:
    """A picture with its annotated objects, as data within the page."""
    try:
        picture = read(record.path, (record.height, record.width))
    except (ValueError, OSError) as error:
        return f'<figure class="picture"><figcaption>{escape(str(error))}</figcaption></figure>'
    drawn = shrink(draw_instances(picture, truth_of(record), list(classes)), LARGE if enlarges else SIDE)
    image = f'<img alt="{escape(caption)}" src="{data_url(drawn)}">'
    if enlarges:
        image = f'<label><input type="checkbox">{image}</label>'
    return f'<figure class="picture">{image}<figcaption>{escape(caption)}</figcaption></figure>'
