"""The pictures that a model did best and worst on."""

from typing import NamedTuple

import numpy as np

from maskrcnn.data.progress import follow
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.pairing import Pairing, pairings

IOU = 0.5  # of masks, from which on a detection is right
EACH = 6  # pictures of a side


class Judged(NamedTuple):
    """A picture's detections beside its objects."""

    picture: int  # position in the data set
    pairing: Pairing
    quality: float


def quality(pairing: Pairing, score_threshold: float) -> float:
    """Panoptic quality of a picture (Kirillov et al., arXiv 1801.00868): the IoU of detections that are right, added
    up, divided by their number and half that of wrong detections and of missed objects. NaN where there is nothing to
    find and nothing found.

    Args:
        pairing: of masks; score_threshold: detections that score less are left out.
    """
    kept = np.array([result["score"] >= score_threshold for result in pairing.detections], bool)
    crowd = np.append(pairing.crowd, False)  # -1 stands for no object
    right, wrong = kept & (pairing.match >= 0) & ~crowd[pairing.match], kept & (pairing.match < 0)
    missed = int((~pairing.crowd).sum() - right.sum())
    total = right.sum() + (wrong.sum() + missed) / 2
    return float(pairing.iou[right, pairing.match[right]].sum() / total) if total else float("nan")


def rank(evaluator: CocoEvaluator, score_threshold: float) -> tuple[list[Judged], list[Judged]]:
    """The worst and the best pictures, the very worst and the very best first, of equals those with more objects; none
    is on both sides.

    Args:
        evaluator: with ground truth and predictions; score_threshold: of the quality.
    """
    found = follow(pairings(evaluator, "segm", IOU), len(evaluator.predictions), "report: ranking pictures")
    judged = [Judged(picture, pairing, quality(pairing, score_threshold)) for picture, pairing in found]
    judged = [one for one in judged if not np.isnan(one.quality)]
    worst = sorted(judged, key=lambda one: (one.quality, -len(one.pairing.objects)))[
        : min(EACH, (len(judged) + 1) // 2)
    ]
    rest = [one for one in judged if all(one is not other for other in worst)]
    return worst, sorted(rest, key=lambda one: (-one.quality, -len(one.pairing.objects)))[:EACH]
