"""Average precision if one part of all detections were perfect, the others being as they are: which part holds it back.

- boxes: each takes the box of the object of its class that it overlaps most, by `BACKGROUND_IOU` at least; its mask is
  stretched with it;
- classes: each takes the class of the object that it overlaps most, by the IoU given at least; changed so, it is left
  out where one that was not, or a better one, has this class for the object already;
- scores: each scores its IoU with the object of its class that it overlaps most: average precision is then recall;
- masks: each has the pixels, within its box, of the object of its class that its box overlaps most (by
  `BACKGROUND_IOU` at least): all that a mask head can do with this box.

Objects of which there is no detection stay missed, and detections of nothing stay.
"""

from collections.abc import Callable

import numpy as np

from maskrcnn.evaluation.coco import IOU_TYPES, CocoEvaluator
from maskrcnn.evaluation.errors import BACKGROUND_IOU
from maskrcnn.evaluation.pairing import Pairing, pair, pairings
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import Rle, decode, encode_crops
from maskrcnn.evaluation.tables import IouType
from maskrcnn.ops.paste import Crop

Oracle = Callable[[Pairing, float], list[Result]]
NUMBERS = ("AP", "AP50", "AP75")


def _target(overlap: np.ndarray, least: float) -> int | None:
    """The object that a detection overlaps most, [G] overlaps given."""
    return int(overlap.argmax()) if overlap.size and overlap.max() >= least else None


def perfect_boxes(pairing: Pairing, iou: float) -> list[Result]:
    """Detections with the boxes of objects."""
    mended = []
    for result, overlap in zip(pairing.detections, pairing.iou * pairing.same * ~pairing.crowd):
        target = _target(overlap, BACKGROUND_IOU)
        if target is not None:
            box = pairing.objects[target]["bbox"]
            mask = _stretch(result["segmentation"], result["bbox"], box)
            result = Result(**{**result, "bbox": box, "segmentation": mask})  # type: ignore[typeddict-item]
        mended.append(result)
    return mended


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
            result = Result(**{**result, "category_id": label})  # type: ignore[typeddict-item]
        mended.append(result)
    return mended


def perfect_scores(pairing: Pairing, iou: float) -> list[Result]:
    """Detections that score their IoU."""
    own = pairing.iou * pairing.same * ~pairing.crowd
    return [
        Result(**{**result, "score": float(row.max(initial=0))})  # type: ignore[typeddict-item]
        for result, row in zip(pairing.detections, own)
    ]


def perfect_masks(pairing: Pairing, iou: float) -> list[Result]:
    """Detections with the masks of objects, as far as their boxes reach."""
    boxes = pair(pairing.detections, pairing.objects, "bbox", iou, len(pairing.detections))
    mended = []
    for result, overlap in zip(boxes.detections, boxes.iou * boxes.same * ~boxes.crowd):
        target = _target(overlap, BACKGROUND_IOU)
        if target is not None:
            mask = _within(pairing.objects[target]["segmentation"], result["bbox"])
            result = Result(**{**result, "segmentation": mask})  # type: ignore[typeddict-item]
        mended.append(result)
    return mended


ORACLES: dict[str, Oracle] = {
    "boxes": perfect_boxes,
    "classes": perfect_classes,
    "scores": perfect_scores,
    "masks": perfect_masks,
}


def ask_oracles(evaluator: CocoEvaluator, iou: float) -> dict[str, dict[str, dict[str, float]]]:
    """The numbers of `NUMBERS` as they are and with each part perfect.

    Args:
        evaluator: with ground truth and predictions; iou: see the module.

    Returns:
        {"bbox": {"as it is": {"AP", ..}, "boxes": {"AP", ..}, ..}, "segm": ..}, for boxes without "masks".
    """
    scores = evaluator.compute()
    answers: dict[str, dict[str, dict[str, float]]] = {}
    for iou_type in IOU_TYPES:
        rows = {"as it is": _numbers(scores, iou_type)}
        pairs = list(pairings(evaluator, iou_type, iou))
        for name, oracle in ORACLES.items():
            if name == "masks" and iou_type == "bbox":
                continue
            mended = CocoEvaluator(
                evaluator.ground_truth,
                evaluator.classes,
                max_detections=evaluator.max_detections,
                backend=evaluator.backend,
            )
            mended.update({image: oracle(pairing, iou) for image, pairing in pairs})
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


def _stretch(mask: Rle, box: list[float], wanted: list[float]) -> Rle:
    """A mask moved along with its box x, y, width, height to another: each pixel takes the one where it came from."""
    size = (mask["size"][0], mask["size"][1])
    bitmap = decode(mask)
    sources, starts = [], []
    for axis, length in ((1, size[0]), (0, size[1])):  # rows, then columns
        first = max(int(np.floor(wanted[axis])), 0)
        stop = min(int(np.ceil(wanted[axis] + wanted[axis + 2])), length)
        share = (np.arange(first, stop) + 0.5 - wanted[axis]) / wanted[axis + 2]
        source = np.floor(box[axis] + share * box[axis + 2]).astype(np.int64)
        sources.append(np.where((source >= 0) & (source < length), source, length))  # `length`: a row of nothing
        starts.append(first)
    padded = np.pad(bitmap, ((0, 1), (0, 1)))
    return encode_crops([Crop(padded[np.ix_(*sources)], *starts)], size)[0]
