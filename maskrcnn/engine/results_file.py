"""Detections from elsewhere: a file of COCO results, checked."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.entries import is_box
from maskrcnn.data.few import few
from maskrcnn.data.rle import count_pixels
from maskrcnn.data.segmentation import compress, encode_runs
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import Rle, find_box

PIECE = 1000  # masks
KEYS = ("image_id", "category_id", "segmentation", "score")


def read_results(path: Path, annotations: CocoAnnotations) -> dict[int, list[Result]]:
    """Reads detections of a data set's pictures.

    Args:
        path: a JSON list of {"image_id", "category_id", "segmentation", "score", "bbox"}, with the ids of the
            annotation file; https://cocodataset.org/#format-results. A missing box is taken from the mask.
        annotations: the data set.

    Returns:
        The results of each picture by its position, best first; a picture of which the file says nothing has none.

    Raises:
        ValueError: the file is none of COCO results, or not of this data set; the message names the entry.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON, or broken: {error}") from error
    if isinstance(entries, dict) and "annotations" in entries:
        raise ValueError(
            f"{path} is an annotation file; COCO results are a list of detections, such as detections.json of "
            "evaluate.py"
        )
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path} is not a list of detections, each with {', '.join(KEYS)}")
    records = list(annotations.records)
    positions = {record.id: position for position, record in enumerate(records)}
    labels = {id_: label for label, id_ in enumerate(annotations.category_ids)}
    masks: list[Rle] = []
    for number, entry in enumerate(entries):
        try:
            _check(entry, positions, labels, annotations)
            record = records[positions[entry["image_id"]]]
            masks.append(_encode(entry["segmentation"], record.height, record.width))
        except ValueError as error:
            raise ValueError(f"{path}: detection {number} (counted from 0) {error}") from error
    for number, why in _broken(masks):
        raise ValueError(f"{path}: detection {number} (counted from 0) has a bad segmentation: {why}")
    found: dict[int, list[Result]] = {position: [] for position in positions.values()}
    for entry, rle in zip(entries, masks):
        box = entry["bbox"] if is_box(entry.get("bbox")) else find_box(rle)
        position, label = positions[entry["image_id"]], labels[entry["category_id"]]
        found[position].append(
            Result(image_id=position, category_id=label, bbox=box, score=float(entry["score"]), segmentation=rle)
        )
    return {position: sorted(results, key=lambda result: -result["score"]) for position, results in found.items()}


def _check(
    entry: dict[str, Any], positions: dict[int | str, int], labels: dict[int, int], annotations: CocoAnnotations
) -> None:
    for key in KEYS:
        if key not in entry:
            raise ValueError(f"has no {key!r}; each needs {', '.join(KEYS)}")
    for key, known in (("image_id", positions), ("category_id", labels)):
        if type(entry[key]) not in (int, str) or entry[key] not in known:
            ids = few(list(known), 3)
            names = [record.name for record in annotations.records] if key == "image_id" else []
            hint = "; it is a file's name, as predict.py writes: evaluate.py writes ids" if entry[key] in names else ""
            raise ValueError(
                f"has the {key} {entry[key]!r}, which {annotations.file} does not have; ids there: {ids}{hint}"
            )
    score = entry["score"]
    if type(score) not in (int, float) or not math.isfinite(score):
        raise ValueError(f"has the score {score!r}; it must be a finite number")


def _encode(segmentation: Any, height: int, width: int) -> Rle:
    """Compressed run lengths, which may still be broken; unlike an annotation's, a detection's mask may be empty."""
    try:
        if isinstance(segmentation, dict):
            counts = encode_runs(segmentation, height, width)
        else:
            counts, _ = compress(segmentation, height, width)
        return Rle(size=[height, width], counts=counts.decode("ascii"))
    except ValueError as error:
        raise ValueError(f"has a bad segmentation: {error}") from error


def _broken(masks: list[Rle]) -> Iterator[tuple[int, str]]:
    """The positions of masks that are none, and why; many are looked at together, which takes a tenth of the time."""
    for start in range(0, len(masks), PIECE):
        piece = masks[start : start + PIECE]
        if _fault(piece):
            for number, mask in enumerate(piece, start):
                if why := _fault([mask]):
                    yield number, why


def _fault(masks: list[Rle]) -> str:
    """What is wrong with any of these masks, if something is."""
    try:
        spanned, _ = count_pixels([mask["counts"].encode("ascii") for mask in masks])
    except ValueError as error:
        return str(error)
    sizes = [height * width for height, width in (mask["size"] for mask in masks)]
    return "" if spanned.tolist() == sizes else "run lengths that do not span the picture"
