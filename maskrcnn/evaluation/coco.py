"""COCO's average precision and recall, computed by pycocotools."""

import contextlib
import io
from typing import Any, Literal

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.evaluation.results import Result

IouType = Literal["bbox", "segm"]
IOU_TYPES: tuple[IouType, ...] = ("bbox", "segm")
ALL, SMALL, MEDIUM, LARGE = range(4)  # pycocotools' order of areas: any, < 32^2, 32^2..96^2, > 96^2 pixels


def _coco(dataset: dict[str, Any]) -> COCO:
    """Indexes a data set without pycocotools' prints, and without a detour over a file."""
    coco = COCO()
    coco.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _mean(values: np.ndarray) -> float:
    """Mean of the entries that are defined: pycocotools writes -1 where there is no ground truth. NaN if none is."""
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else float("nan")


class CocoEvaluator:
    """Collects COCO results and scores them against the ground truth.

    Args:
        ground_truth: a COCO data set with internal ids: image id = position in the data set, category id = label,
            annotation ids from 1 on (pycocotools takes an object with id 0 for unmatched), `segmentation` as compressed
            RLE, `area` in pixels, `bbox` as x, y, width, height, `iscrowd`.
        classes: name of each label.
        max_detections: how many detections of a class in a picture count, best first (COCO: 100). pycocotools' own
            summary is -1 for any other number than 100; the numbers here are taken from its precision and recall
            tables instead, and equal its summary at 100.
    """

    def __init__(self, ground_truth: dict[str, Any], classes: list[str], *, max_detections: int) -> None:
        if max_detections < 1:
            raise ValueError(f"max_detections is {max_detections}; it must be at least 1 (COCO uses 100)")
        ids = [annotation["id"] for annotation in ground_truth["annotations"]]
        assert len(set(ids)) == len(ids) and 0 not in ids, "annotation ids must be unique and not 0"
        assert [category["id"] for category in ground_truth["categories"]] == list(range(len(classes)))
        self.classes = classes
        self.max_detections = max_detections
        # Copies, because pycocotools writes into the annotations that it is given.
        self.ground_truth = _coco({**ground_truth, "annotations": [{**a} for a in ground_truth["annotations"]]})
        self.predictions: dict[int, list[Result]] = {}  # by image id; what ranks exchange before they compute
        self._tables: dict[IouType, COCOeval] = {}

    def reset(self) -> None:
        """Forgets all predictions."""
        self.predictions = {}
        self._tables = {}

    def update(self, predictions: dict[int, list[Result]]) -> None:
        """Adds the results of pictures by image id, as `coco_results` returns them.

        A picture that comes again (samplers pad the last batch by repeating pictures) replaces what was known of it, so
        it counts once.
        """
        assert all(image in self.ground_truth.imgs for image in predictions), "a picture that the ground truth lacks"
        self.predictions.update(predictions)
        self._tables = {}

    def compute(self) -> dict[str, float]:
        """Precision and recall over the pictures that were updated; over all pictures of the ground truth if none was.

        Returns:
            For each prefix "bbox/" and "segm/": AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR{max_detections}, ARs, ARm,
            ARl, all in 0..1. A class without objects is left out of the mean; a number that no object defines is NaN.
        """
        scores = {}
        for iou_type in IOU_TYPES:
            table = self._table(iou_type)
            caps = table.params.maxDets
            cap = caps.index(self.max_detections)
            precision = table.eval["precision"][..., cap]  # [IoU threshold, recall, class, area]
            recall = table.eval["recall"]  # [IoU threshold, class, area, cap]
            numbers = {
                "AP": precision[:, :, :, ALL],
                "AP50": precision[0, :, :, ALL],  # thresholds 0.5, 0.55 .. 0.95
                "AP75": precision[5, :, :, ALL],
                "APs": precision[:, :, :, SMALL],
                "APm": precision[:, :, :, MEDIUM],
                "APl": precision[:, :, :, LARGE],
                **{f"AR{detections}": recall[:, :, ALL, i] for i, detections in enumerate(caps)},
                "ARs": recall[:, :, SMALL, cap],
                "ARm": recall[:, :, MEDIUM, cap],
                "ARl": recall[:, :, LARGE, cap],
            }
            scores.update({f"{iou_type}/{name}": _mean(values) for name, values in numbers.items()})
        return scores

    def per_class(self) -> dict[str, dict[str, float]]:
        """`bbox/AP`, `bbox/AP50`, `segm/AP` and `segm/AP50` of each class by name, NaN for a class without objects."""
        scores: dict[str, dict[str, float]] = {name: {} for name in self.classes}
        for iou_type in IOU_TYPES:
            table = self._table(iou_type)
            precision = table.eval["precision"][:, :, :, ALL, table.params.maxDets.index(self.max_detections)]
            for label, name in enumerate(self.classes):
                scores[name][f"{iou_type}/AP"] = _mean(precision[:, :, label])
                scores[name][f"{iou_type}/AP50"] = _mean(precision[0, :, label])
        return scores

    def _table(self, iou_type: IouType) -> COCOeval:
        """pycocotools' precision and recall tables of what is known so far, computed once."""
        if iou_type not in self._tables:
            evaluation = COCOeval(self.ground_truth, self._detections(iou_type), iou_type)
            evaluation.params.imgIds = sorted(self.predictions) or sorted(self.ground_truth.imgs)
            evaluation.params.catIds = list(range(len(self.classes)))
            evaluation.params.maxDets = sorted({1, 10, self.max_detections})
            with contextlib.redirect_stdout(io.StringIO()):
                evaluation.evaluate()
                evaluation.accumulate()
            self._tables[iou_type] = evaluation
        return self._tables[iou_type]

    def _detections(self, iou_type: IouType) -> COCO:
        """The predictions as pycocotools wants them. Its own `loadRes` fails on an empty list and measures masks by
        the area of their boxes, which moves them between small, medium and large.
        """
        annotations: list[dict[str, Any]] = []
        for results in self.predictions.values():
            for result in results:
                area = result["bbox"][2] * result["bbox"][3]
                if iou_type == "segm":
                    area = float(coco_mask.area(result["segmentation"]))
                annotations.append({**result, "id": len(annotations) + 1, "area": area, "iscrowd": 0})
        dataset = self.ground_truth.dataset
        return _coco({"images": dataset["images"], "categories": dataset["categories"], "annotations": annotations})
