"""Average precision as LVIS counts it (Gupta et al., arXiv 1908.03195, section 3).

Not every class was looked for in every picture. A class is judged in the pictures that hold it and in those of which
its absence is known (`neg_category_ids`); detections elsewhere are left out. Where not all its objects were annotated
(`not_exhaustive_category_ids`), a detection that matches none is not wrong.
"""

from collections.abc import Mapping

import numpy as np

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.matches import average_precision, match
from maskrcnn.evaluation.tables import IouType

FREQUENCIES = ("r", "c", "f")  # rare, common, frequent


def lvis_scores(
    evaluator: CocoEvaluator,
    iou_type: IouType,
    absent: Mapping[int, set[int]],
    incomplete: Mapping[int, set[int]],
    frequency: Mapping[int, str],
) -> dict[str, float]:
    """LVIS's average precision over the pictures that were updated, of the best `max_detections` of each picture, for
    its cap is on all classes together.

    Args:
        evaluator: with ground truth and predictions; iou_type: match boxes or masks.
        absent, incomplete: labels of `neg_category_ids` and `not_exhaustive_category_ids`, by image id.
        frequency: "r", "c" or "f" by label.

    Returns:
        AP, AP50, AP75, and the AP of rare, common and frequent classes as APr, APc, APf; NaN where no object is.
    """
    images, most = evaluator.seen(), evaluator.max_detections
    if any(len(found) > most for found in evaluator.predictions.values()):  # those of another program
        ranked = {i: sorted(found, key=lambda one: -one["score"]) for i, found in evaluator.predictions.items()}
        evaluator = evaluator.of({image: found[:most] for image, found in ranked.items()})
    rows = []
    for label, found in enumerate(match(evaluator, iou_type)):
        judged = (found.objects > 0) | np.array([label in absent.get(image, ()) for image in images])
        unsure = np.array([label in incomplete.get(image, ()) for image in images], bool)
        certain = found._replace(wrong=found.wrong & ~unsure[found.pictures])
        rows.append(average_precision(certain, judged.astype(np.int64)))
    each = np.stack(rows)  # [class, IoU threshold]

    def mean(values: np.ndarray) -> float:
        return float(np.nanmean(values)) if (~np.isnan(values)).any() else float("nan")

    scores = {"AP": mean(each), "AP50": mean(each[:, 0]), "AP75": mean(each[:, 5])}
    for name in FREQUENCIES:
        scores[f"AP{name}"] = mean(each[[frequency.get(label) == name for label in range(len(each))]])
    return scores
