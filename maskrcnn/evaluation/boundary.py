"""Boundary AP (Cheng et al., arXiv 2103.16562): average precision that asks for good outlines of large objects too.

Two masks overlap by the lesser of the IoU of their pixels and the IoU of their boundaries: the pixels of each within
2 % of the picture's diagonal of its outline, or of the picture's edge.
"""

import contextlib
import io
from typing import Any

import hotcoco
import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval

from maskrcnn.evaluation.coco import CocoEvaluator, mean
from maskrcnn.evaluation.rle import Rle, decode, encode_crops
from maskrcnn.evaluation.tables import index_dataset
from maskrcnn.ops.paste import Crop

WIDTH = 0.02  # of the boundary, of the picture's diagonal


def find_boundary(rle: Rle) -> Rle:
    """The pixels of a mask that an erosion by its picture's boundary width takes away."""
    height, width = rle["size"]
    reach = max(round(WIDTH * float(np.hypot(height, width))), 1)
    x, y, w, h = (int(edge) for edge in coco_mask.toBbox(rle))
    mask = decode(rle)[y : y + h, x : x + w]
    covered, window = _window_sums(_window_sums(mask, reach).T, reach).T, (2 * reach + 1) ** 2
    inner = mask & (covered == window)
    return encode_crops([Crop(mask & ~inner, y, x)], (height, width))[0]


def _window_sums(values: np.ndarray, reach: int) -> np.ndarray:
    """Sums along the first axis over windows of 2 reach + 1 around each row, with zeros outside."""
    rows = np.pad(values.astype(np.int64), ((reach + 1, reach), (0, 0)))
    sums = np.cumsum(rows, axis=0)
    return np.asarray(sums[2 * reach + 1 :] - sums[: -2 * reach - 1])


class _BoundaryEval(COCOeval):  # type: ignore[misc]
    """pycocotools' evaluation with that overlap."""

    def computeIoU(self, imgId: int, catId: int) -> Any:  # as pycocotools calls it
        known, found = self._gts[imgId, catId], self._dts[imgId, catId]
        if not known or not found:
            return []
        order = np.argsort([-entry["score"] for entry in found], kind="mergesort")
        found = [found[i] for i in order[: self.params.maxDets[-1]]]
        crowds = [int(entry["iscrowd"]) for entry in known]
        ious = [
            hotcoco.mask.iou([entry[key] for entry in found], [entry[key] for entry in known], crowds)
            for key in ("segmentation", "boundary")
        ]
        return np.minimum(*ious)


def boundary_scores(evaluator: CocoEvaluator) -> dict[str, float]:
    """Boundary AP, AP50 and AP75 over the pictures that were updated; NaN without objects. Takes pycocotools' time.

    Args:
        evaluator: with ground truth and predictions.
    """
    truth = evaluator.ground_truth
    sides = [
        {**truth, "annotations": [{**entry, "boundary": find_boundary(entry["segmentation"])} for entry in entries]}
        for entries in (truth["annotations"], evaluator.detections("segm"))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _BoundaryEval(*map(index_dataset, sides), "segm")
        evaluation.params.imgIds = evaluator.seen()
        evaluation.params.catIds = list(range(len(evaluator.classes)))
        evaluation.params.maxDets = [evaluator.max_detections]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return {"AP": mean(precision), "AP50": mean(precision[0]), "AP75": mean(precision[5])}
