"""Average precision if one part of all detections were perfect, the others being as they are: which part holds it back.

- boxes: each takes the box of the object of its class that its box overlaps most, by `BACKGROUND_IOU` at least;
- classes: each takes the class of the object that it overlaps most, by the IoU given at least; changed so, it is left
  out where one that was not, or a better one, has this class for the object already;
- scores: each scores its IoU with the object of its class that it overlaps most, if it is the one that overlaps it
  best, else 0: average precision is then recall, but for objects that only such others would find;
- masks: each has the pixels, within its box, of the object of its class that its box overlaps most, by
  `BACKGROUND_IOU` at least: all that a mask head can do with this box;
- boxes and masks: each has all pixels of that object.

Perfect boxes are asked of boxes only, perfect masks of masks only: where a mask ends does not depend on its box alone.
Objects of which there is no detection stay missed, and detections of nothing stay.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.errors import BACKGROUND_IOU
from maskrcnn.evaluation.pairing import Pairing, pair, pairings
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import Rle, decode, encode_crops
from maskrcnn.evaluation.tables import IOU_TYPES, IouType
from maskrcnn.ops.paste import Crop

Oracle = Callable[[Pairing, float], list[Result]]
NUMBERS = ("AP", "AP50", "AP75")


def _target(overlap: np.ndarray, least: float) -> int | None:
    """The object that a detection overlaps most, [G] overlaps given."""
    return int(overlap.argmax()) if overlap.size and overlap.max() >= least else None


def perfect_classes(pairing: Pairing, iou: float) -> list[Result]:
    """Detections with the classes of objects."""
    targets = [_target(overlap, iou) for overlap in pairing.iou * ~pairing.crowd]
    there = {target for same, target in zip(pairing.same, targets) if target is not None and same[target]}
    mended: list[Result] = []
    for result, same, target in zip(pairing.detections, pairing.same, targets):
        if target is not None and not same[target]:
            if target in there:
                continue
            there.add(target)
            label = pairing.objects[target]["category_id"]
            result = {**result, "category_id": label}
        mended.append(result)
    return mended


def perfect_scores(pairing: Pairing, iou: float) -> list[Result]:
    """Detections that score their IoU, the best one of each object; all others 0, or duplicates would rank as high."""
    own = pairing.iou * pairing.same * ~pairing.crowd
    if own.size:
        favourite = own == own.max(axis=1, keepdims=True)
        own = np.where(favourite & (np.arange(len(own))[:, None] == own.argmax(axis=0)), own, 0)
    return [{**result, "score": float(row.max(initial=0))} for result, row in zip(pairing.detections, own)]


def perfect_boxes(pairing: Pairing, iou: float) -> list[Result]:
    """Detections with the boxes of objects."""
    return [result if target is None else {**result, "bbox": target["bbox"]} for result, target in _by_boxes(pairing)]


def perfect_masks(pairing: Pairing, iou: float) -> list[Result]:
    """Detections with the masks of objects, as far as their boxes reach."""
    return [
        result if target is None else {**result, "segmentation": _within(target["segmentation"], result["bbox"])}
        for result, target in _by_boxes(pairing)
    ]


def perfect_boxes_and_masks(pairing: Pairing, iou: float) -> list[Result]:
    """Detections with the masks of objects."""
    return [
        result if target is None else {**result, "segmentation": target["segmentation"]}
        for result, target in _by_boxes(pairing)
    ]


def _by_boxes(pairing: Pairing) -> list[tuple[Result, dict[str, Any] | None]]:
    """Detections, each with the object of its class that its box overlaps most."""
    boxes = pair(pairing.detections, pairing.objects, "bbox", 1.0, len(pairing.detections))
    targets = [_target(overlap, BACKGROUND_IOU) for overlap in boxes.iou * boxes.same * ~boxes.crowd]
    return [(r, None if i is None else boxes.objects[i]) for r, i in zip(boxes.detections, targets)]


ORACLES: dict[IouType, dict[str, Oracle]] = {
    "bbox": {"classes": perfect_classes, "scores": perfect_scores, "boxes": perfect_boxes},
    "segm": {
        "classes": perfect_classes,
        "scores": perfect_scores,
        "masks": perfect_masks,
        "boxes and masks": perfect_boxes_and_masks,
    },
}


def ask_oracles(evaluator: CocoEvaluator, iou: float) -> dict[str, dict[str, dict[str, float]]]:
    """The numbers of `NUMBERS` as they are and with each part perfect.

    Args:
        evaluator: with ground truth and predictions; iou: see the module.

    Returns:
        {"bbox": {"as it is": {"AP", ..}, "classes": {"AP", ..}, ..}, "segm": ..}, by the names in `ORACLES`.
    """
    scores = evaluator.compute()
    answers: dict[str, dict[str, dict[str, float]]] = {}
    for iou_type in IOU_TYPES:
        rows = {"as it is": _numbers(scores, iou_type)}
        pairs = list(pairings(evaluator, iou_type, iou))
        for name, oracle in ORACLES[iou_type].items():
            mended = evaluator.of({image: oracle(pairing, iou) for image, pairing in pairs})
            rows[name] = _numbers(mended.compute(), iou_type)
        answers[iou_type] = rows
    return answers


def _numbers(scores: dict[str, float], iou_type: IouType) -> dict[str, float]:
    return {name: scores[f"{iou_type}/{name}"] for name in NUMBERS}


def _within(mask: Rle, box: list[float]) -> Rle:
    """A mask's pixels whose centres lie in a box x, y, width, height."""
    height, width = mask["size"]
    left, top = (max(round(edge), 0) for edge in box[:2])
    right, bottom = min(round(box[0] + box[2]), width), min(round(box[1] + box[3]), height)
    crop = Crop(decode(mask)[top:bottom, left:right], min(top, height), min(left, width))
    return encode_crops([crop], (height, width))[0]
