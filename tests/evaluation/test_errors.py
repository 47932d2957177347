"""Kinds of errors on cases made by hand, and against hotcoco's TIDE."""

from typing import Any

import hotcoco
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.errors import count_errors
from maskrcnn.evaluation.matches import match
from maskrcnn.evaluation.pairing import pair, pairings
from maskrcnn.evaluation.tables import match_pictures

OBJECTS = [(0, 0, [10, 10, 20, 20], 0), (0, 0, [50, 50, 20, 20], 0), (1, 1, [10, 10, 20, 20], 0)]
FOUND = [(0, 0, [10, 10, 20, 20], 0.9), (0, 0, [50, 50, 20, 20], 0.8), (1, 1, [10, 10, 20, 20], 0.7)]
Row = tuple[int, int, list[int], float]  # picture, class, box, and whether it is a crowd, or a score


def fill(box: list[int]) -> dict[str, Any]:
    """All pixels of a box."""
    x, y, width, height = box
    bitmap = np.zeros((100, 100), np.uint8, order="F")
    bitmap[y : y + height, x : x + width] = 1
    rle: dict[str, Any] = coco_mask.encode(bitmap)
    return rle


def make(objects: list[Row], found: list[Row], pictures: int = 3, backend: Any = "hotcoco") -> CocoEvaluator:
    truth = {
        "images": [{"id": i, "height": 100, "width": 100} for i in range(pictures)],
        "categories": [{"id": i, "name": name} for i, name in enumerate("abc")],
        "annotations": [
            {
                "id": i,
                "image_id": picture,
                "category_id": label,
                "bbox": box,
                "area": box[2] * box[3],
                "segmentation": fill(box),
                "iscrowd": crowd,
            }
            for i, (picture, label, box, crowd) in enumerate(objects, start=1)
        ],
    }
    evaluator = CocoEvaluator(truth, list("abc"), max_detections=100, backend=backend)
    results: dict[int, list[Any]] = {i: [] for i in range(pictures)}
    for picture, label, box, score in found:
        result = {"image_id": picture, "category_id": label, "bbox": box, "score": score, "segmentation": fill(box)}
        results[picture].append(result)
    evaluator.update(results)
    return evaluator


@pytest.mark.parametrize(
    ("found", "counts", "precision", "gain"),
    [
        (FOUND, {}, 1.0, {}),
        ([*FOUND, (0, 0, [11, 10, 20, 20], 0.5)], {"duplicate": 1}, 1.0, {}),  # it comes after all recall is reached
        # The better one is right; the other spoils the precision, 2/3, of the second half of a class's recalls.
        ([*FOUND, (0, 0, [11, 10, 20, 20], 0.95)], {"duplicate": 1}, 1 - 50 / 101 / 6, {"duplicate": 50 / 101 / 6}),
        ([*FOUND[:2], (1, 0, [10, 10, 20, 20], 0.5)], {"class": 1}, 0.5, {"class": 0.5}),
        ([*FOUND[:2], (1, 1, [20, 10, 20, 20], 0.5)], {"localisation": 1}, 0.5, {"localisation": 0.5}),
        ([*FOUND[:2], (1, 0, [20, 10, 20, 20], 0.5)], {"both": 1, "missed": 1}, 0.5, {"missed": 0.5}),
        # On top of two right ones precision is 2/3 at any recall, of which taking it away makes 1.
        ([*FOUND, (2, 0, [0, 0, 9, 9], 0.95)], {"background": 1}, (2 / 3 + 1) / 2, {"background": 1 / 6}),
        (FOUND[:2], {"missed": 1}, 0.5, {"missed": 0.5}),
        # Two that miss the same object: mended, the better one is right, and the other no longer there.
        (
            [*FOUND[:2], (1, 1, [20, 10, 20, 20], 0.5), (1, 1, [19, 10, 20, 20], 0.4)],
            {"localisation": 2},
            0.5,
            {"localisation": 0.5},
        ),
    ],
)
def test_each_kind(found: list[Row], counts: dict[str, int], precision: float, gain: dict[str, float]) -> None:
    errors = count_errors(make(OBJECTS, found), "bbox", 0.5)
    assert {kind: row["count"] for kind, row in errors["kinds"].items() if row["count"]} == counts
    assert errors["AP"] == pytest.approx(precision)
    assert {k: row["gain"] for k, row in errors["kinds"].items() if abs(row["gain"]) > 1e-9} == pytest.approx(gain)


def test_counts_go_to_the_class_of_the_detection_and_of_the_missed_object() -> None:
    errors = count_errors(make(OBJECTS, [(1, 0, [20, 10, 20, 20], 0.5)]), "bbox", 0.5)
    assert errors["classes"]["a"] == {"class": 0, "localisation": 0, "both": 1, "duplicate": 0, "background": 0} | {
        "missed": 2
    }
    assert errors["classes"]["b"]["missed"] == 1 and sum(errors["classes"]["c"].values()) == 0


def test_what_lies_on_a_crowd_region_is_no_error() -> None:
    crowd = [*OBJECTS, (2, 0, [0, 0, 50, 50], 1)]
    errors = count_errors(make(crowd, [*FOUND, (2, 0, [5, 5, 20, 20], 0.99)]), "bbox", 0.5)
    assert errors["AP"] == 1.0 and all(row["count"] == 0 for row in errors["kinds"].values())
    one = make(crowd, [FOUND[0], (2, 0, [5, 5, 20, 20], 0.99)])  # nor is it right: half of one class of two is found
    assert count_errors(one, "bbox", 0.5)["AP"] == pytest.approx(51 / 101 / 2)
    assert one.compute()["bbox/AP50"] == pytest.approx(51 / 101 / 2)


def random_case(seed: int, crowds: bool, backend: Any = "hotcoco") -> CocoEvaluator:
    draw = np.random.default_rng(seed)
    objects: list[Row] = []
    found: list[Row] = []
    for picture in range(12):
        for _ in range(draw.integers(0, 6)):
            box = [*draw.integers(0, 60, 2).tolist(), *draw.integers(8, 30, 2).tolist()]
            label = int(draw.integers(3))
            objects.append((picture, label, box, int(crowds and draw.random() < 0.2)))
            for _ in range(draw.integers(0, 4)):
                near = np.maximum(np.array(box) + draw.integers(-6, 7, 4), [0, 0, 3, 3]).tolist()
                guess = label if draw.random() < 0.7 else int(draw.integers(3))
                found.append((picture, guess, near, float(draw.integers(1, 9) / 8 if crowds else draw.random())))
        found += [(picture, 0, draw.integers(5, 40, 4).tolist(), float(draw.random())) for _ in range(2)]
    return make(objects, found, 12, backend)


@pytest.mark.parametrize("seed", range(8))
def test_all_numbers_are_those_of_hotcoco_where_there_is_no_crowd(seed: int) -> None:
    evaluator = random_case(seed, crowds=False)
    found = {**evaluator.ground_truth, "annotations": evaluator.detections("bbox")}
    theirs = hotcoco.COCOeval(hotcoco.COCO(evaluator.ground_truth), hotcoco.COCO(found), "bbox")
    theirs.params.img_ids, theirs.params.cat_ids, theirs.params.max_dets = list(range(12)), [0, 1, 2], [100]
    theirs.evaluate()
    tide = theirs.tide_errors()
    own = count_errors(evaluator, "bbox", 0.5)
    names = {"class": "Cls", "localisation": "Loc", "both": "Both", "duplicate": "Dupe", "background": "Bkg"}
    names["missed"] = "Miss"
    assert {names[kind]: row["count"] for kind, row in own["kinds"].items()} == tide["counts"]
    gains = {names[kind]: row["gain"] for kind, row in own["kinds"].items()}
    assert gains == pytest.approx({name: tide["delta_ap"][name] for name in gains}, abs=1e-12)
    assert own["AP"] == pytest.approx(tide["ap_base"], abs=1e-12)


def test_the_cap_is_each_classes_own_and_of_equal_objects_the_last_is_taken() -> None:
    box = [10, 10, 20, 20]
    objects = [(0, label, box, 0) for label in (0, 0, 1)]
    made = make(objects, [(0, 0, box, 0.9), (0, 0, box, 0.8), (0, 1, box, 0.7)])
    found = pair(made.predictions[0], made.objects[0], "bbox", 0.5, 1)
    assert [result["score"] for result in found.detections] == [0.9, 0.7]
    tables = match_pictures(made.ground_truth, made.detections("bbox"), "bbox", [0], 1, "pycocotools")
    assert [int(table["dtMatches"][0][0]) - 1 for table in tables] == found.match.tolist() == [1, 2]


@pytest.mark.parametrize("seed", range(8))
def test_pairs_are_those_of_pycocotools_with_crowds_and_equal_scores(seed: int) -> None:
    evaluator = random_case(seed, crowds=True, backend="pycocotools")
    right, wrong = np.zeros(3, int), np.zeros(3, int)
    for _, pairing in pairings(evaluator, "bbox", 0.5):
        labels = np.array([result["category_id"] for result in pairing.detections], int)
        hit = (pairing.match >= 0) & ~np.append(pairing.crowd, False)[pairing.match]
        right += np.bincount(labels[hit], minlength=3)
        wrong += np.bincount(labels[pairing.match < 0], minlength=3)
    matches = match(evaluator, "bbox")
    assert right.tolist() == [found.right[0].sum() for found in matches] and right.sum() > 3
    assert wrong.tolist() == [found.wrong[0].sum() for found in matches]
