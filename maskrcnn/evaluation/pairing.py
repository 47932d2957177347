"""Which detection of one picture found which object, at one IoU, with the overlaps that say why others did not."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.tables import IouType


class Pairing(NamedTuple):
    """Detections of a picture, best first, and its annotated objects."""

    detections: list[Result]
    objects: list[dict[str, Any]]  # entries of COCO's annotations
    same: np.ndarray  # [D, G] bool: of the same class
    crowd: np.ndarray  # [G] bool: a region that no detection is held against for
    iou: np.ndarray  # [D, G] float64; of crowd regions, the share of the detection that lies in it
    match: np.ndarray  # [D] int64, the object that a detection is right for; -1 for none

    def missed(self) -> list[int]:
        """Positions of the objects that nothing is right for."""
        return [i for i in np.flatnonzero(~self.crowd).tolist() if i not in self.match]

    def wrong(self) -> list[int]:
        """Positions of the detections that are right for nothing."""
        return np.flatnonzero(self.match < 0).tolist()


def pair(results: list[Result], objects: list[dict[str, Any]], iou_type: IouType, iou: float, most: int) -> Pairing:
    """Matches as COCO does: each detection, best first, with the free object of its class that it overlaps most.

    Args:
        results: of a picture; objects: its entries of COCO's annotations.
        iou_type: compare boxes or masks; iou: that a match needs at least.
        most: detections of each class that count.
    """
    ranked = sorted(results, key=lambda result: -result["score"])
    labels = np.array([result["category_id"] for result in ranked], np.int64)
    before = np.tril(labels[:, None] == labels, -1).sum(axis=1)  # better ones of the same class
    ranked = [result for result, better in zip(ranked, before.tolist()) if better < most]
    labels = labels[before < most]
    crowd = np.array([entry["iscrowd"] for entry in objects], bool)
    same = labels[:, None] == np.array([entry["category_id"] for entry in objects], np.int64)
    overlap = _overlap(ranked, objects, iou_type)
    match = np.full(len(ranked), -1)
    free = np.ones(len(objects), bool)
    for i in range(len(ranked)):
        enough = same[i] & (overlap[i] >= min(iou, 1 - 1e-10))
        for allowed in (enough & free & ~crowd, enough & crowd):
            if allowed.any():
                values = np.where(allowed, overlap[i], -1)
                match[i] = len(values) - 1 - int(np.argmax(values[::-1]))  # of equals the last, as pycocotools
                free[match[i]] = False  # of a crowd region it is not asked
                break
    return Pairing(ranked, objects, same, crowd, overlap, match)


def pairings(evaluator: CocoEvaluator, iou_type: IouType, iou: float) -> Iterator[tuple[int, Pairing]]:
    """The pairing of each picture that was updated, by its id, in their order."""
    for image in sorted(evaluator.predictions):
        yield (
            image,
            pair(evaluator.predictions[image], evaluator.objects[image], iou_type, iou, evaluator.max_detections),
        )


def _overlap(results: list[Result], objects: list[dict[str, Any]], iou_type: IouType) -> np.ndarray:
    if not results or not objects:
        return np.zeros((len(results), len(objects)))
    key = "bbox" if iou_type == "bbox" else "segmentation"
    found: list[Any] = [result[key] for result in results]  # type: ignore[literal-required]
    return np.asarray(coco_mask.iou(found, [entry[key] for entry in objects], [e["iscrowd"] for e in objects]))
