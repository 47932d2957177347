"""What `evaluate.py funnel=true` leaves in the evaluation's folder.

funnel.json, of masks at IoU `iou`:

    {"iou": 0.5,
     "counts": {"all": row, "classes": {class: row}, "sizes": {"small" | "medium" | "large": row}},
         with row = {"objects": n, "found": n, "lost": {bucket: n}},
     "buckets": [{"name", "title", "keys": {key of the configuration: its value}, "remedy", "lost": n,
                  "gallery": "funnel/<name>.png", or null where nothing was lost}], in the order of the network's steps,
     "chart": "funnel/chart.svg", also to be had by `maskrcnn.inspection.funnel_chart.draw_funnel(counts)`,
     "missed": [{"image_id": as in the annotation file, "file_name", "category", "bbox", "area", "bucket",
                 "nearest": {"bbox", "iou", "score", "category"} or null, "rival": the same, "mask_iou"}]}

errors.json, at the same IoU:

    {"iou": 0.5, "background_iou": 0.1,
     "errors": {"bbox" | "segm": {"AP": as it is, "kinds": {kind: {"count", "AP": if mended, "gain"}},
                                  "classes": {class: {kind: count}}}},
     "oracles": {"bbox": {"as it is" | "classes" | "scores" | "boxes": {"AP", "AP50", "AP75"}},
                 "segm": {"as it is" | "classes" | "scores" | "masks" | "boxes and masks": the same}},
     "galleries": {kind, but missed: "errors/<kind>.png", or null where there is none}}, of masks

Boxes are x, y, width, height in pixels of the picture; null stands where a number is not defined. What buckets and
kinds mean is said in `maskrcnn.inspection.buckets`, `maskrcnn.evaluation.errors` and `maskrcnn.evaluation.oracles`.
"""

import functools
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from maskrcnn.commands.json_file import write_json
from maskrcnn.config.nested import at
from maskrcnn.engine.scored import Scored
from maskrcnn.evaluation.errors import BACKGROUND_IOU, KINDS, count_errors, find_errors
from maskrcnn.evaluation.oracles import ask_oracles
from maskrcnn.evaluation.pairing import pairings
from maskrcnn.evaluation.tables import IOU_TYPES
from maskrcnn.inspection.buckets import BUCKETS
from maskrcnn.inspection.counts import count_lost, describe
from maskrcnn.inspection.funnel import Missed
from maskrcnn.inspection.funnel_chart import draw_funnel
from maskrcnn.inspection.gallery import Wrong, draw_errors, draw_gallery
from maskrcnn.report.section import number

FILES = (
    *("funnel.json", "funnel/chart.svg", *(f"funnel/{bucket.name}.png" for bucket in BUCKETS)),
    *("errors.json", *(f"errors/{kind}.png" for kind in KINDS)),
)  # all that may be left


def write_funnel(
    directory: Path, scored: Scored, missed: dict[int, list[Missed]], iou: float, console: Console
) -> None:
    """Writes funnel.json with its chart and galleries, and says how many objects were lost where.

    Args:
        directory: of the evaluation, without the `FILES` of another one.
        scored: all detections; missed: objects by picture.
        iou: of masks, at which they were missed.
    """
    truth, classes = scored.evaluator.ground_truth, list(scored.data.classes)
    records = scored.data.val_annotations.records
    lost = [(index, one) for index, found in sorted(missed.items()) for one in found]
    objects = [
        (entry["category_id"], entry["area"])
        for entry in truth["annotations"]
        if not entry["iscrowd"] and entry["image_id"] in missed
    ]
    counts = count_lost(objects, [one for _, one in lost], classes)

    (directory / "funnel").mkdir(exist_ok=True)
    (directory / "funnel" / "chart.svg").write_text(draw_funnel(counts) + "\n", encoding="utf-8")
    buckets = []
    for bucket in BUCKETS:
        own = [(index, one) for index, one in lost if one.lost.bucket == bucket.name]
        path = directory / "funnel" / f"{bucket.name}.png"
        if own:
            draw_gallery(bucket, own, functools.partial(_read, scored), classes, path)
        buckets.append(
            {
                "name": bucket.name,
                "title": bucket.title,
                "keys": {key: at(scored.restored.config, key) for key in bucket.keys},
                "remedy": bucket.remedy,
                "lost": len(own),
                "gallery": f"funnel/{bucket.name}.png" if own else None,
            }
        )
    entries = [
        {"image_id": records[index].id, "file_name": records[index].name, **describe(one, classes)}
        for index, one in lost
    ]
    content = {"iou": iou, "counts": counts, "buckets": buckets, "chart": "funnel/chart.svg", "missed": entries}
    write_json(directory / "funnel.json", content, console)
    title = f"{len(lost)} of {len(objects)} objects were missed at IoU {iou:g}, at any score"
    table = Table("lost", "where", "keys", title=title)
    for bucket in BUCKETS:
        if counts["all"]["lost"][bucket.name]:
            table.add_row(str(counts["all"]["lost"][bucket.name]), bucket.title, ", ".join(bucket.keys))
    console.print(table)


def write_errors(directory: Path, scored: Scored, iou: float, console: Console) -> None:
    """Writes errors.json with its galleries, and says what each kind of error costs, and what each part would give if
    it were perfect."""
    errors = {iou_type: count_errors(scored.evaluator, iou_type, iou) for iou_type in IOU_TYPES}
    oracles = ask_oracles(scored.evaluator, iou)
    wrong: dict[str, list[Wrong]] = {kind: [] for kind in KINDS}
    for _, pairing in pairings(scored.evaluator, "segm", iou):
        for error in find_errors(pairing, iou):
            target = None if error.target < 0 else pairing.objects[error.target]
            wrong[error.kind].append(Wrong(pairing.detections[error.detection], target))
    (directory / "errors").mkdir(exist_ok=True)
    galleries = {}
    for kind, found in wrong.items():
        path = directory / "errors" / f"{kind}.png"
        if found:
            draw_errors(kind, found, functools.partial(_read, scored), list(scored.data.classes), path)
        galleries[kind] = f"errors/{kind}.png" if found else None
    content = {
        "iou": iou,
        "background_iou": BACKGROUND_IOU,
        "errors": errors,
        "oracles": oracles,
        "galleries": galleries,
    }
    write_json(directory / "errors.json", content, console)
    segm = errors["segm"]
    table = Table("", "number", "AP without", title=f"mask errors at IoU {iou:g}, of AP {number(segm['AP'])}")
    for kind, row in segm["kinds"].items():
        table.add_row(kind, str(row["count"]), number(row["AP"]))
    console.print(table)
    table = Table("", "box AP", "mask AP", title="if one part were perfect")
    for name in ("as it is", "classes", "scores", "boxes", "masks", "boxes and masks"):
        scores = [oracles[iou_type][name]["AP"] if name in oracles[iou_type] else None for iou_type in IOU_TYPES]
        table.add_row(name, *("" if score is None else number(score) for score in scores))
    console.print(table)


def _read(scored: Scored, index: int) -> np.ndarray:
    record = scored.data.val_annotations.records[index]
    return scored.data.read(record.path, (record.height, record.width))
