"""Detections matched with the ground truth as they come, in any process, while a device looks at other pictures."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import hotcoco
import numpy as np

from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.tables import IOU_TYPES, IouType, Tables

# By type the hotcoco.StreamingEval of some pictures, which pickles: 9 KB a picture with 100 detections, 0.2 KB a class.
Streams = dict[IouType, Any]


class Matcher(NamedTuple):
    """Matches by hotcoco; afterwards, precision and recall take a sixth of the time that matching all would."""

    images: dict[int, dict[str, Any]]  # entries of a data set in COCO's format by image id
    objects: dict[int, list[dict[str, Any]]]  # its annotations by image id
    categories: list[dict[str, Any]]
    caps: list[int]  # numbers of detections of a class in a picture, ascending

    def of(self, images: Iterable[int]) -> "Matcher":
        """One that knows these pictures only, and so is quickly sent to another process."""
        chosen = list(images)
        return self._replace(
            images={image: self.images[image] for image in chosen},
            objects={image: self.objects[image] for image in chosen},
        )

    def match(self, predictions: Mapping[int, list[Result]]) -> Streams:
        """Matches the results of pictures by image id, at least one."""
        images = [self.images[image] for image in predictions]
        objects = [entry for image in predictions for entry in self.objects[image]]
        results = [result for found in predictions.values() for result in found]
        matches: Streams = {}
        for iou_type in IOU_TYPES:
            params = hotcoco.Params(iou_type)
            params.cat_ids, params.max_dets = [category["id"] for category in self.categories], self.caps
            matches[iou_type] = hotcoco.StreamingEval(self.categories, iou_type=iou_type, params=params)
            matches[iou_type].update(images, objects, _detections(results, iou_type))
        return matches


def _detections(results: list[Result], iou_type: IouType) -> np.ndarray | list[dict[str, Any]]:
    if iou_type == "bbox":
        rows = [(found["image_id"], *found["bbox"], found["score"], found["category_id"]) for found in results]
        return np.array(rows).reshape(-1, 7)
    # Without boxes, or the area of these would count.
    return [{key: found[key] for key in ("image_id", "category_id", "score", "segmentation")} for found in results]


def merge(matches: list[Streams]) -> Streams:
    """Those of all pictures as one; of a picture that comes again, those of the last count."""
    return {iou_type: hotcoco.StreamingEval.merge([some[iou_type] for some in matches]) for iou_type in IOU_TYPES}


def accumulate(matches: list[Streams], iou_type: IouType) -> Tables:
    """Precision and recall over all pictures of some matches; of one that comes again, those of the last count."""
    evaluation = hotcoco.StreamingEval.merge([some[iou_type] for some in matches]).finalize()
    evaluation.accumulate()
    assert evaluation.eval is not None
    return Tables(*(np.asarray(evaluation.eval[name]) for name in Tables._fields))
