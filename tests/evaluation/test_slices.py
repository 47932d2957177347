"""Slices against COCO's own ranges of areas, against subsets, and against edited ground truth."""

import math
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.expression import Expression
from maskrcnn.evaluation.slices import Attributes, Slice, slice_scores
from maskrcnn.evaluation.tables import Backend
from tests.evaluation.test_coco import CLASSES, SIZE, make_detections, make_ground_truth

PICTURES = 12
NONE = Attributes({}, {})


def evaluator_of(truth: dict[str, Any], backend: Backend = "hotcoco") -> CocoEvaluator:
    made = CocoEvaluator(truth, CLASSES, max_detections=100, backend=backend)
    made.update(make_detections(make_ground_truth(3, PICTURES), 3, extra=4))
    return made


@pytest.fixture(scope="module")
def evaluator() -> CocoEvaluator:
    return evaluator_of(make_ground_truth(3, PICTURES))


def scored(evaluator: CocoEvaluator, text: str, attributes: Attributes = NONE) -> Slice:
    return slice_scores(evaluator, Expression(text), attributes)


@pytest.mark.parametrize("backend", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize(
    "text, name", [("area <= 1024", "s"), ("1024 <= area <= 9216", "m"), ("area >= 9216", "l"), ("width == 240", "")]
)
def test_areas_are_those_of_coco(evaluator: CocoEvaluator, text: str, name: str, backend: Backend) -> None:
    made = CocoEvaluator(evaluator.ground_truth, CLASSES, max_detections=100, backend=backend)
    made.update(evaluator.predictions)
    expected, found = evaluator.compute(), scored(made, text).scores
    for kind in ("bbox", "segm"):
        assert found[f"{kind}/AP"] == expected[f"{kind}/AP{name}"]
        assert found[f"{kind}/AR"] == expected[f"{kind}/AR{name or 100}"]
    assert 0 < found["segm/AP"] < 1


def test_pictures_are_those_alone(evaluator: CocoEvaluator) -> None:
    truth = evaluator.ground_truth
    objects = [[a["image_id"] for a in truth["annotations"] if not a["iscrowd"]].count(i) for i in range(PICTURES)]
    chosen = [i for i in range(PICTURES) if objects[i] > 3]
    assert 0 < len(chosen) < PICTURES
    alone = evaluator_of(truth)
    alone.reset()
    alone.update({i: evaluator.predictions[i] for i in chosen})
    found = scored(evaluator, "n_objects > 3")
    assert (found.pictures, found.objects) == (len(chosen), sum(objects[i] for i in chosen))
    assert found.scores["segm/AP"] == alone.compute()["segm/AP"] > 0
    sites = Attributes({i: {"site": "A" if i in chosen else "B"} for i in range(PICTURES)}, {})
    assert scored(evaluator, "site == 'A'", sites) == found


def test_others_are_ignored_and_not_missing(evaluator: CocoEvaluator) -> None:
    """Every object is found; those outside would halve the recall if they were missing, or the precision if wrong."""
    truth = evaluator.ground_truth
    objects = [a for a in truth["annotations"] if not a["iscrowd"]]
    made = CocoEvaluator(truth, CLASSES, max_detections=100, backend="hotcoco")
    results: dict[int, list[Any]] = {i: [] for i in range(PICTURES)}
    for known in objects:
        results[known["image_id"]].append({**known, "score": 0.5})
    made.update(results)
    half = Attributes({}, {a["id"]: {"hard": a["id"] % 2} for a in objects})
    found = scored(made, "hard == 1", half)
    assert found.objects == sum(a["id"] % 2 for a in objects) and 0 < found.objects < len(objects)
    assert {name: score for name, score in found.scores.items()} == pytest.approx(dict.fromkeys(found.scores, 1.0))


def naive_ap50(evaluator: CocoEvaluator, label: int, chosen: set[int]) -> float:
    """Average precision of a class's masks at IoU 0.5 where only some annotations count, from the definition."""
    hits = []
    for image, results in evaluator.predictions.items():
        known = [
            a for a in evaluator.ground_truth["annotations"] if (a["image_id"], a["category_id"]) == (image, label)
        ]
        free = [a for a in known if a["id"] in chosen and not a["iscrowd"]]
        ignored = [a for a in known if a not in free]
        for result in sorted((r for r in results if r["category_id"] == label), key=lambda r: -r["score"]):
            shared = [float(coco_mask.iou([result["segmentation"]], [a["segmentation"]], [0])[0, 0]) for a in free]
            if max(shared, default=0) >= 0.5:
                free.pop(shared.index(max(shared)))
                hits.append((result["score"], True))
                continue
            masks = [(a["segmentation"], a["iscrowd"]) for a in ignored]
            covers = [float(coco_mask.iou([result["segmentation"]], [m], [crowd])[0, 0]) for m, crowd in masks]
            if max(covers, default=0) >= 0.5:  # a crowd is never taken
                at = covers.index(max(covers))
                if not ignored[at]["iscrowd"]:
                    ignored.pop(at)
            else:
                hits.append((result["score"], False))
    hits.sort(key=lambda entry: -entry[0])
    counted = [a for a in evaluator.ground_truth["annotations"] if a["id"] in chosen and a["category_id"] == label]
    found = np.cumsum([hit for _, hit in hits])
    recall = found / len([a for a in counted if not a["iscrowd"]])
    precision = found / np.arange(1, len(hits) + 1)
    return float(np.mean([precision[recall >= p - 1e-12].max(initial=0) for p in np.linspace(0, 1, 101)]))


def test_an_attribute_of_annotations_leaves_wrong_detections_in(evaluator: CocoEvaluator) -> None:
    chosen = {a["id"] for a in evaluator.ground_truth["annotations"] if a["id"] % 2}
    attributes = Attributes({}, {a["id"]: {"hard": a["id"] in chosen} for a in evaluator.ground_truth["annotations"]})
    expected = np.mean([naive_ap50(evaluator, label, chosen) for label in (0, 1, 3)])
    assert scored(evaluator, "hard", attributes).scores["segm/AP50"] == pytest.approx(expected)
    assert 0.05 < expected < 0.9


def test_edge_and_category(evaluator: CocoEvaluator) -> None:
    truth = {**evaluator.ground_truth, "annotations": [{**a} for a in evaluator.ground_truth["annotations"]]}
    known = next(a for a in truth["annotations"] if not a["iscrowd"] and a["category_id"] == 0)
    known["bbox"] = [SIZE[1] - 20.5, 30, 20, 20]  # reaches the last column of pixels
    made = evaluator_of(truth)
    objects = [a for a in truth["annotations"] if not a["iscrowd"]]
    edge = [a["id"] for a in objects if min(a["bbox"][:2]) < 1 or a is known]
    assert scored(made, "touches_edge").objects == len(edge)
    disc = scored(made, f"category == '{CLASSES[0]}'")
    assert disc.scores["segm/AP"] == pytest.approx(made.per_class()[CLASSES[0]]["segm/AP"])
    assert disc.pictures == len({a["image_id"] for a in objects if a["category_id"] == 0})
    assert scored(made, "box_width == 20 and box_height == 20").objects == 1


def test_an_empty_slice_has_no_score(evaluator: CocoEvaluator) -> None:
    for text in ("n_objects > 1000", "area > 1e9"):
        found = scored(evaluator, text)
        assert (found.pictures, found.objects) == (0, 0) and all(map(math.isnan, found.scores.values()))
