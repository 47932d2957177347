"""An annotation file and its pictures looked through for defects of their own, whatever a run selects of them."""

import csv
import json
import re
import tempfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

from maskrcnn.data.annotations import CocoAnnotations, read_annotations
from maskrcnn.data.coco_file import read_json
from maskrcnn.data.convert.output import appearing
from maskrcnn.data.records import Records
from maskrcnn.data.source import Split
from maskrcnn.inspection.finding import Findings
from maskrcnn.inspection.limits import Limits
from maskrcnn.inspection.mend import LEFT_OUT, WITHOUT_PICTURE, mend
from maskrcnn.inspection.pixels import Pixels, check_copies, check_empty, see_pictures

Depth = Literal["headers", "pixels"]


class File(NamedTuple):
    """What was found in one annotation file and its pictures."""

    split: Split
    annotations: CocoAnnotations  # as mended
    records: Records
    mended: dict[str, Any]
    findings: Findings  # also of the part that is named like the file
    pixels: Pixels | None  # at depth=pixels


def inspect_file(split: Split, depth: Depth, limits: Limits, findings: Findings) -> File:
    """Looks through a file.

    Args:
        split: where it lies; depth, limits: of `inspect`; findings: gets what is found.

    Raises:
        ValueError: it is no COCO file, or nothing usable is left of it.
    """
    mended = mend(read_json(split.annotations), split, limits.read.channels, findings)
    if not mended["images"]:
        listed = "".join(f"\n- {one.told()}" for one in findings.all() if one.level == "error")
        reason = f", after leaving out{listed}" if listed else ": 'images' is empty. Is this the right annotation file?"
        raise ValueError(f"{split.annotations}: no usable picture is left{reason}")
    annotations = _read_mended(mended, split) if findings.changes else read_annotations(split)
    assert isinstance(annotations.records, Records)
    records, pixels = annotations.records, None
    if depth == "pixels":
        pixels = see_pictures(records, limits.read)
        check_copies(records, pixels, findings)
        check_empty(records, pixels, findings)
        mended = _leave_out(mended, records, pixels.broken, findings)
    return File(split, annotations, records, mended, findings, pixels)


def _leave_out(dataset: dict[str, Any], records: Records, broken: dict[int, str], findings: Findings) -> dict[str, Any]:
    """The data set without pictures that cannot be read, and their annotations."""
    ids, names = set(), records.names()
    for index, problem in broken.items():
        what = "pictures that cannot be decoded, or not as this configuration reads them"
        named = problem.replace(str(records.images / names[index]), names[index])
        why = re.split("[:;] ", named)[0]  # without what a run would say to do
        findings.mend("error", what, "left out with their annotations", why)
        ids.add(records[index].id)
    images = [image for image in dataset["images"] if image["id"] not in ids]
    annotations = [annotation for annotation in dataset["annotations"] if annotation["image_id"] not in ids]
    for annotation in dataset["annotations"]:
        if annotation["image_id"] in ids:
            findings.mend("error", WITHOUT_PICTURE, LEFT_OUT, annotation["id"])
    return {**dataset, "images": images, "annotations": annotations}


def _read_mended(mended: dict[str, Any], split: Split) -> CocoAnnotations:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / split.annotations.name
        file.write_text(json.dumps(mended), encoding="utf-8")
        return read_annotations(Split(split.images, file))


def mended_paths(out: Path) -> tuple[Path, Path]:
    """The files that `write_mended` writes.

    Raises:
        ValueError: one is already there.
    """
    paths = out, out.with_name(f"{out.stem}_changes.csv")
    for path in paths:
        if path.exists():
            raise ValueError(f"{path} is already there: give another name by out=..., or remove it")
    return paths


def write_mended(file: File, out: Path) -> list[Path]:
    """Writes a file's mended annotations, and beside them what was changed, line by line."""
    log = mended_paths(out)[1]
    rows = [("id", "what", "done"), *file.findings.changes]
    with appearing(out) as part, appearing(log) as log_part:
        part.write_text(json.dumps(file.mended), encoding="utf-8")
        with log_part.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return [out, log]
