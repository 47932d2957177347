"""COCO's average precision and recall."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.part import Part, make_part
from maskrcnn.evaluation.predictions import Predictions
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.stream import Matcher, Streams, accumulate, merge
from maskrcnn.evaluation.tables import IOU_TYPES, Backend, IouType, Tables, make_tables

ALL, SMALL, MEDIUM, LARGE = range(4)  # the order of areas in `Tables`
# Matches kept apart: each holds 0.5 KB for each class, so that 5,000 batches of 1,203 classes would take 2.8 GB.
APART = 256


def mean(values: np.ndarray) -> float:
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
        backend: which library matches; the numbers are the same. hotcoco does it as predictions come.

    Attributes:
        images, objects: entries of the ground truth's images, and lists of its annotations, by image id.
        predictions: results by image id; a picture's are made anew each time that they are asked for.
        cap: where `max_detections` stands among the caps of `Tables`.
    """

    predictions: Predictions

    def __init__(
        self, ground_truth: dict[str, Any], classes: list[str], *, max_detections: int, backend: Backend
    ) -> None:
        if max_detections < 1:
            raise ValueError(f"max_detections is {max_detections}; give 1 or more (COCO uses 100)")
        ids = [annotation["id"] for annotation in ground_truth["annotations"]]
        assert len(set(ids)) == len(ids) and 0 not in ids, "annotation ids must be unique and not 0"
        assert [category["id"] for category in ground_truth["categories"]] == list(range(len(classes)))
        self.classes = classes
        self.max_detections = max_detections
        self.caps = sorted({1, 10, max_detections})
        self.cap = self.caps.index(max_detections)
        self.backend = backend
        self.ground_truth = ground_truth
        self.images: dict[int, dict[str, Any]] = {image["id"]: image for image in ground_truth["images"]}
        self.objects: dict[int, list[dict[str, Any]]] = {image: [] for image in self.images}
        for annotation in ground_truth["annotations"]:
            self.objects[annotation["image_id"]].append(annotation)
        self._matcher: Matcher | None = None
        if backend == "hotcoco":
            self._matcher = Matcher(self.images, self.objects, ground_truth["categories"], self.caps)
        self.reset()

    def of(self, predictions: Mapping[int, list[Result]]) -> "CocoEvaluator":
        """One with the same ground truth, but other predictions."""
        other = CocoEvaluator(self.ground_truth, self.classes, max_detections=self.max_detections, backend=self.backend)
        other.update(predictions)
        return other

    def reset(self) -> None:
        """Forgets all predictions."""
        self.predictions = Predictions()
        self._matches: list[Streams] = []
        self._tables: dict[IouType, Tables] = {}

    def matcher(self, images: Iterable[int]) -> Matcher | None:
        """For `find_part` of these pictures in another process; none with pycocotools, which matches at the end."""
        return self._matcher and self._matcher.of(images)

    def update(self, predictions: Mapping[int, list[Result]]) -> None:
        """Adds the results of pictures by image id, as `coco_results` returns them.

        A picture that comes again (samplers pad the last batch by repeating pictures) replaces what was known of it, so
        it counts once.
        """
        assert predictions.keys() <= self.images.keys(), "a picture that the ground truth lacks"
        self.add(make_part(predictions, self._matcher))

    def add(self, part: Part) -> None:
        """As `update`, with matches that are there."""
        self.predictions.update(part.predictions)
        self._matches.extend(part.matches)
        if len(self._matches) > APART:
            self._matches = [merge(self._matches)]
        self._tables = {}

    def seen(self) -> list[int]:
        """Ids of the pictures that were updated, ascending; of all, if none was."""
        return sorted(self.predictions) or sorted(self.images)

    def part(self) -> Part:
        """What is known so far, for `join`."""
        return Part(self.predictions, self._matches)

    def join(self, parts: list[Part]) -> None:
        """Takes what evaluators with the same ground truth know instead; nothing is matched again.

        Args:
            parts: of each. Of a picture that several know, the last one's predictions count.
        """
        self.reset()
        for part in parts:
            self.add(part)
        self.predictions.sort()

    def compute(self) -> dict[str, float]:
        """Precision and recall over the pictures that were updated; over all pictures of the ground truth if none was.

        Returns:
            For each prefix "bbox/" and "segm/": AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR{max_detections}, ARs, ARm,
            ARl, all in 0..1. A class without objects is left out of the mean; a number that no object defines is NaN.
        """
        scores, cap = {}, self.cap
        for iou_type in IOU_TYPES:
            precision, recall, _ = self.tables(iou_type)
            precision = precision[..., cap]
            numbers = {
                "AP": precision[:, :, :, ALL],
                "AP50": precision[0, :, :, ALL],  # thresholds 0.5, 0.55 .. 0.95
                "AP75": precision[5, :, :, ALL],
                "APs": precision[:, :, :, SMALL],
                "APm": precision[:, :, :, MEDIUM],
                "APl": precision[:, :, :, LARGE],
                **{f"AR{detections}": recall[:, :, ALL, i] for i, detections in enumerate(self.caps)},
                "ARs": recall[:, :, SMALL, cap],
                "ARm": recall[:, :, MEDIUM, cap],
                "ARl": recall[:, :, LARGE, cap],
            }
            scores.update({f"{iou_type}/{name}": mean(values) for name, values in numbers.items()})
        return scores

    def per_class(self) -> dict[str, dict[str, float]]:
        """`bbox/AP`, `bbox/AP50`, `segm/AP` and `segm/AP50` of each class by name, NaN for a class without objects."""
        scores: dict[str, dict[str, float]] = {name: {} for name in self.classes}
        for iou_type in IOU_TYPES:
            precision = self.tables(iou_type).precision[:, :, :, ALL, self.cap]
            for label, name in enumerate(self.classes):
                scores[name][f"{iou_type}/AP"] = mean(precision[:, :, label])
                scores[name][f"{iou_type}/AP50"] = mean(precision[0, :, label])
        return scores

    def tables(self, iou_type: IouType) -> Tables:
        """Precision and recall of what is known so far, computed once."""
        if iou_type not in self._tables:
            if self._matches:
                self._tables[iou_type] = accumulate(self._matches, iou_type)
            else:
                detections = self.detections(iou_type)
                self._tables[iou_type] = make_tables(
                    self.ground_truth, detections, iou_type, self.seen(), self.caps, self.backend
                )
        return self._tables[iou_type]

    def detections(self, iou_type: IouType) -> list[dict[str, Any]]:
        """The predictions as entries of COCO's annotations. pycocotools' own `loadRes` fails on an empty list and
        measures masks by the area of their boxes, which moves them between small, medium and large.
        """
        results = [result for found in self.predictions.values() for result in found]
        if iou_type == "segm":
            # One by one: under numpy 2, pycocotools 2.0.11 takes no list of more than 255.
            areas = [float(coco_mask.area(result["segmentation"])) for result in results]
        else:
            areas = [result["bbox"][2] * result["bbox"][3] for result in results]
        return [
            {**result, "id": number, "area": area, "iscrowd": 0}
            for number, (result, area) in enumerate(zip(results, areas), start=1)
        ]
