"""What is wrong with wrong detections, and what average precision each kind of error costs (TIDE, arXiv 2008.08115).

A detection that is right for no object is, in this order (that of the paper's implementation):

- localisation: its class has an object here, but it overlaps it by less than `iou` (and by `background_iou` at least);
- class: it overlaps an object of another class by `iou`;
- duplicate: it overlaps an object of its class by `iou`, for which a better detection is right already;
- background: it overlaps no object by more than `background_iou`;
- both: what is left, neither place nor class being right.

An object is `missed` if nothing is right for it, and no class or localisation error would be if it were mended.
Detections on crowd regions are no errors, and crowd regions explain none. hotcoco's `tide_errors` counts the same
without crowd regions, but takes a detection that grazes one for a localisation error, and tells no classes apart.
"""

from typing import Any, NamedTuple

import numpy as np

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.matches import Matches, average_precision
from maskrcnn.evaluation.pairing import Pairing, pairings
from maskrcnn.evaluation.tables import IouType

KINDS = ("class", "localisation", "both", "duplicate", "background")
MISSED = "missed"
BACKGROUND_IOU = 0.1  # of the paper


class Error(NamedTuple):
    """What is wrong with a detection."""

    kind: str
    detection: int  # its position in the pairing
    target: int  # the object concerned, by its position; -1 for none


class _Judged(NamedTuple):
    score: float
    label: int
    right: bool


def find_errors(pairing: Pairing, iou: float) -> list[Error]:
    """The errors of a picture, of the best detection first.

    Args:
        pairing: at `iou`.
    """
    overlap = np.where(pairing.crowd, 0, pairing.iou)
    own, other = overlap * pairing.same, overlap * ~pairing.same
    errors = []
    for i in pairing.wrong():
        if not len(pairing.objects):
            errors.append(Error("background", i, -1))
        elif BACKGROUND_IOU <= own[i].max() <= iou:
            errors.append(Error("localisation", i, int(own[i].argmax())))
        elif other[i].max() >= iou:
            errors.append(Error("class", i, int(other[i].argmax())))
        elif own[i].max() >= iou:  # a free object it would have found
            errors.append(Error("duplicate", i, int(own[i].argmax())))
        elif overlap[i].max() <= BACKGROUND_IOU:
            errors.append(Error("background", i, -1))
        else:
            errors.append(Error("both", i, int(overlap[i].argmax())))
    return errors


def find_missed(pairing: Pairing, errors: list[Error]) -> list[int]:
    """Positions of the objects that no mended error would find."""
    mended = {error.target for error in errors if error.kind in ("class", "localisation")}
    return [i for i in pairing.missed() if i not in mended]


def count_errors(evaluator: CocoEvaluator, iou_type: IouType, iou: float) -> dict[str, Any]:
    """How many errors of each kind there are, and average precision at `iou` with each kind mended.

    Mended, a class or localisation error is right where it is the best of both kinds for an object that is not found;
    all other errors are taken away, and so are missed objects.

    Returns:
        {"AP": as it is, "kinds": {kind: {"count", "AP": if mended, "gain"}}, "classes": {class: {kind: count}}}; errors
        are counted for the class of the detection, missed ones for that of the object. An AP is NaN without objects.
    """
    names = evaluator.classes
    objects = np.zeros(len(names), np.int64)
    found: list[_Judged] = []
    mended: dict[str, list[_Judged]] = {kind: [] for kind in KINDS}
    counts = {name: dict.fromkeys((*KINDS, MISSED), 0) for name in names}
    missed = np.zeros(len(names), np.int64)
    for _, pairing in pairings(evaluator, iou_type, iou):
        labels = [int(entry["category_id"]) for entry in pairing.objects]
        objects += np.bincount(np.array(labels, np.int64)[~pairing.crowd], minlength=len(names))
        errors = find_errors(pairing, iou)
        for error in errors:
            counts[names[pairing.detections[error.detection]["category_id"]]][error.kind] += 1
        for position in find_missed(pairing, errors):
            missed[labels[position]] += 1
        judged = {
            i: _Judged(result["score"], result["category_id"], pairing.match[i] >= 0)
            for i, result in enumerate(pairing.detections)
            if pairing.match[i] < 0 or not pairing.crowd[pairing.match[i]]
        }
        found += judged.values()
        for kind in KINDS:
            mended[kind] += _mend(judged, errors, kind, set(pairing.missed()), labels).values()
    for name, number in zip(names, missed.tolist()):
        counts[name][MISSED] = number
    base = _precision(found, objects)
    after = {kind: _precision(mended[kind], objects) for kind in KINDS} | {MISSED: _precision(found, objects - missed)}
    kinds = {
        kind: {"count": sum(row[kind] for row in counts.values()), "AP": ap, "gain": ap - base}
        for kind, ap in after.items()
    }
    return {"AP": base, "kinds": kinds, "classes": counts}


def _mend(
    judged: dict[int, _Judged], errors: list[Error], kind: str, unfound: set[int], labels: list[int]
) -> dict[int, _Judged]:
    mended = dict(judged)
    for error in errors:  # the best first
        mends = error.kind in ("class", "localisation") and error.target in unfound
        if mends:
            unfound = unfound - {error.target}
        if error.kind == kind:
            was = mended.pop(error.detection)
            if mends:
                mended[error.detection] = _Judged(was.score, labels[error.target], True)
    return mended


def _precision(found: list[_Judged], objects: np.ndarray) -> float:
    """The mean over classes of COCO's average precision at one IoU."""
    scores = np.array([one.score for one in found], np.float64)
    labels = np.array([one.label for one in found], np.int64)
    right = np.array([one.right for one in found], bool)
    values = []
    for label in np.flatnonzero(objects).tolist():
        own = np.flatnonzero(labels == label)
        own = own[np.argsort(-scores[own], kind="stable")]
        matches = Matches(
            np.zeros(len(own), np.int64), scores[own], right[None, own], ~right[None, own], objects[label : label + 1]
        )
        values.append(average_precision(matches, np.ones(1, np.int64))[0])
    return float(np.mean(values)) if values else float("nan")
