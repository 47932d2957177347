"""Which classes are taken for which."""

import numpy as np

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.tables import IouType, match_pictures

BACKGROUND = "background"


def confuse(evaluator: CocoEvaluator, iou_type: IouType, score_threshold: float) -> np.ndarray:
    """Counts how often an object of a class was found as each class, at IoU 0.5.

    Objects and detections are matched as if all were of one class: the best detection first, each with the free object
    that it overlaps most. Detections on crowd regions that match no object are not counted.

    Args:
        evaluator: with ground truth and predictions; iou_type: match boxes or masks.
        score_threshold: what scores less is left out.

    Returns:
        [K + 1, K + 1] int64: rows are true classes, columns the classes found. The last row counts detections of
        background, the last column objects that were not found.
    """
    truth, classes = evaluator.ground_truth, len(evaluator.classes)
    detections = [entry for entry in evaluator.detections(iou_type) if entry["score"] >= score_threshold]
    known, found = (
        {entry["id"]: entry["category_id"] for entry in entries} for entries in (truth["annotations"], detections)
    )
    tables = match_pictures(
        {
            "images": truth["images"],
            "categories": [{"id": 0, "name": "any"}],
            "annotations": [{**entry, "category_id": 0} for entry in truth["annotations"]],
        },
        [{**entry, "category_id": 0} for entry in detections],
        iou_type,
        evaluator.seen(),
        max(len(detections), 1),
        evaluator.backend,
    )
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    for table in tables:
        matched = dict(zip(table["dtIds"], np.asarray(table["dtMatches"]).reshape(10, -1)[0].astype(int).tolist()))
        for (detection, of), ignored in zip(matched.items(), np.asarray(table["dtIgnore"]).reshape(10, -1)[0]):
            if not ignored:
                matrix[known[of] if of else classes, found[detection]] += 1
        for id_, ignored in zip(table["gtIds"], table["gtIgnore"]):
            if not ignored and id_ not in matched.values():
                matrix[known[id_], classes] += 1
    return matrix
