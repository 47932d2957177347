"""A whole data set looked through: every part for itself, then against each other."""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from maskrcnn.data.coco import CocoAnnotations, read_annotations
from maskrcnn.data.coco_file import read_json
from maskrcnn.data.records import Records
from maskrcnn.data.source import Split, Splits
from maskrcnn.inspection.anchors import Suggestion, best_iou, sample_boxes, shares, suggest
from maskrcnn.inspection.content import Content, check_caps, check_classes, check_sizes, take_content
from maskrcnn.inspection.finding import LEVELS, Finding, Findings
from maskrcnn.inspection.headers import check_headers
from maskrcnn.inspection.limits import Limits
from maskrcnn.inspection.mend import LEFT_OUT, WITHOUT_PICTURE, mend
from maskrcnn.inspection.pixels import (
    Pixels,
    channel_statistics,
    check_copies,
    check_leaks,
    check_same_files,
    see_pictures,
)

REACHED = 0.9  # share of objects that anchors should reach at IoU 0.5; the RPN cannot learn the rest well
Depth = Literal["headers", "pixels"]
# COCO's areas of small, medium and large objects, here of the box at the network's size.
SIZES = {"small (under 32 px)": (0, 32), "medium (32 to 96 px)": (32, 96), "large (from 96 px)": (96, np.inf)}


class Part(NamedTuple):
    """What was found in one annotation file and its pictures."""

    name: str  # train or val; of several data sets, after the set's name
    split: Split
    annotations: CocoAnnotations  # as mended
    records: Records
    mended: dict[str, Any]
    findings: Findings
    content: Content
    pixels: Pixels | None  # at depth=pixels


class Reach(NamedTuple):
    """How much of the ground truth anchors can reach."""

    by_size: dict[str, tuple[int, float, float]]  # boxes, and their shares that are reached at IoU 0.5 and 0.7
    suggestion: Suggestion | None  # where it would reach more


class Inspection(NamedTuple):
    """What was found in a data set."""

    parts: list[Part]
    reach: Reach | None
    pixels: tuple[np.ndarray, np.ndarray] | None  # mean and standard deviation of train's channels, at depth=pixels

    def findings(self) -> list[Finding]:
        """All, errors first."""
        found = [finding for part in self.parts for finding in part.findings.all()]
        return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def inspect(sources: list[Splits], depth: Depth, limits: Limits) -> Inspection:
    """Looks through a data set. What two of its parts have in common is found in val.

    Args:
        sources: where its parts lie; more than one are mixed.
        depth: look at annotations and headers of pictures, or at all pixels too.
        limits: of the configuration.

    Raises:
        ValueError: a file is no COCO file, or nothing usable is left of it.
        FileNotFoundError: there is no such file.
    """
    parts: list[Part] = []
    for source in sources:
        prefix = f"{source.name}/" if source.name else ""
        train = _inspect_part(f"{prefix}train", source.train, depth, limits)
        parts.append(train)
        if source.val is not None:
            val = _inspect_part(f"{prefix}val", source.val, depth, limits)
            check_classes(train.content, val.content, val.findings)
            if not len(val.content.labels):
                val.findings.add("note", "parts without an object: AP cannot be measured", "annotate some", val.name)
            parts.append(val)
    trains = [part for part in parts if part.name.endswith("train")]
    for val in (part for part in parts if part.name.endswith("val")):
        for train in trains:
            if train.pixels is not None and val.pixels is not None:
                check_leaks(train.records, val.records, (train.pixels, val.pixels), val.findings)
            else:
                check_same_files(train.records, val.records, val.findings)
    if not any(len(train.content.labels) for train in trains):
        what = "parts without a usable object: there is nothing to learn"
        trains[0].findings.add("error", what, "annotate some", trains[0].name)
    boxes = np.concatenate([train.content.boxes for train in trains])
    seen = [train.pixels.sums for train in trains if train.pixels is not None]
    return Inspection(parts, measure_reach(boxes, limits), channel_statistics(np.sum(seen, axis=0)) if seen else None)


def glance(sources: list[Splits], limits: Limits) -> list[str]:
    """What a run should know before it starts: less than `inspect`, and in a second once the data set was seen.

    Args:
        sources: where its parts lie; limits: of the configuration.

    Returns:
        Sentences to be printed; none where all is well. Caps are not looked at: who applies them says so.

    Raises:
        ValueError: pictures are broken, or have another size than their annotations are for.
    """
    said = []
    learnt: list[Records] = []
    for source in sources:
        for name, split in (("train", source.train), ("val", source.val)):
            if split is None:
                continue
            with warnings.catch_warnings():  # they were given when the data module read the same file
                warnings.simplefilter("ignore")
                annotations = read_annotations(split)
            assert isinstance(annotations.records, Records)
            check_headers(annotations.records, split.annotations, limits.read.channels)
            findings = Findings(name)
            if name == "train":
                learnt.append(annotations.records)
            else:
                for train in learnt:
                    check_same_files(train, annotations.records, findings)
            content = take_content(annotations.records, annotations.classes, limits.resize)
            check_sizes(content, annotations.records, findings)
            few = (f"{f.number} {f.what} (ids {', '.join(map(str, f.first))})" for f in findings.all())
            said += [f"{split.annotations}: {one}" for one in few]
            boxes = _real(content.boxes)
            if name == "train" and len(boxes):
                half, most = shares(best_iou(boxes, *limits.shapes))
                if half < REACHED:
                    said.append(
                        f"{split.annotations}: anchors reach {half:.1%} of the objects at IoU 0.5, {most:.1%} at 0.7"
                    )
    return said


def _real(boxes: np.ndarray) -> np.ndarray:
    """Boxes with an area, or as many of them as suffice."""
    return sample_boxes(boxes[boxes[:, 2:].min(axis=1, initial=np.inf) > 0])


def _inspect_part(name: str, split: Split, depth: Depth, limits: Limits) -> Part:
    findings = Findings(name)
    mended = mend(read_json(split.annotations), split, limits.read.channels, findings)
    if not mended["images"]:
        listed = "".join(f"\n- {one.number} {one.what}" for one in findings.all() if one.level == "error")
        reason = f", after leaving out{listed}" if listed else ": 'images' is empty. Is this the right annotation file?"
        raise ValueError(f"{split.annotations}: no usable picture is left{reason}")
    annotations = _read_mended(mended, split) if findings.changes else read_annotations(split)
    assert isinstance(annotations.records, Records)
    records = annotations.records
    content = take_content(records, annotations.classes, limits.resize)
    check_sizes(content, records, findings)
    check_caps(content, records, limits, findings)
    pixels = None
    if depth == "pixels":
        pixels = see_pictures(records, limits.read)
        check_copies(records, pixels, findings)
        mended = _leave_out(mended, records, pixels.broken, findings)
    return Part(name, split, annotations, records, mended, findings, content, pixels)


def _leave_out(dataset: dict[str, Any], records: Records, broken: dict[int, str], findings: Findings) -> dict[str, Any]:
    """The data set without pictures that cannot be read, and their annotations."""
    ids = set()
    for index, problem in broken.items():
        what = "pictures that cannot be decoded, or not as this configuration reads them"
        findings.mend("error", what, "left out with their annotations", problem)
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
        file.write_text(json.dumps(mended))
        return read_annotations(Split(split.images, file))


def measure_reach(boxes: np.ndarray, limits: Limits) -> Reach | None:
    """How much of the ground truth the configuration's anchors can reach; None without any.

    Args:
        boxes: [M, 4] x, y, width, height at the size of the network's pictures.
        limits: of the configuration.
    """
    boxes = _real(boxes)
    if not len(boxes):
        return None
    iou = best_iou(boxes, *limits.shapes)
    sides = np.sqrt(boxes[:, 2] * boxes[:, 3])
    by_size = {"all": (len(boxes), *shares(iou))}
    for size, (low, high) in SIZES.items():
        chosen = (sides >= low) & (sides < high)
        if chosen.any():
            by_size[size] = (int(chosen.sum()), *shares(iou[chosen]))
    better = suggest(boxes, limits.strides)
    return Reach(by_size, better if better.reached[1] > by_size["all"][2] + 0.01 else None)


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


def write_mended(part: Part, out: Path) -> list[Path]:
    """Writes a part's mended annotations, and beside them what was changed, line by line."""
    log = mended_paths(out)[1]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(part.mended))
    rows = [("id", "what", "done"), *part.findings.changes]
    log.write_text("".join(",".join(_cell(value) for value in row) + "\n" for row in rows))
    return [out, log]


def _cell(value: Any) -> str:
    return '"' + str(value).replace('"', '""') + '"'
