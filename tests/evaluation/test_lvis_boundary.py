"""LVIS's rules against hotcoco's own LVIS evaluation, boundaries against repeated erosion."""

import hotcoco
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.boundary import boundary_scores, find_boundary
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.lvis import lvis_scores
from maskrcnn.evaluation.rle import decode, encode_crops
from maskrcnn.evaluation.tables import IOU_TYPES, IouType
from maskrcnn.ops.paste import Crop
from tests.evaluation.test_coco import CLASSES, SIZE, annotation, as_result, make_detections, make_ground_truth

PICTURES = 12
FREQUENCY = {0: "f", 1: "c", 2: "r", 3: "r"}


def evaluator_of(seed: int) -> CocoEvaluator:
    truth = make_ground_truth(seed, PICTURES)
    truth["annotations"] = [a for a in truth["annotations"] if not a["iscrowd"]]
    made = CocoEvaluator(truth, CLASSES, max_detections=300, backend="hotcoco")
    made.update(make_detections(truth, seed, extra=4))
    return made


@pytest.mark.parametrize("iou_type", IOU_TYPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_lvis_equals_hotcoco(seed: int, iou_type: IouType) -> None:
    evaluator = evaluator_of(seed)
    draw = np.random.default_rng(seed)
    present: dict[int, set[int]] = {i: set() for i in range(PICTURES)}
    for known in evaluator.ground_truth["annotations"]:
        present[known["image_id"]].add(known["category_id"])
    absent = {i: {k for k in range(4) if k not in present[i] and draw.random() < 0.5} for i in present}
    incomplete = {i: {k for k in present[i] if draw.random() < 0.5} for i in present}
    truth = {
        **evaluator.ground_truth,
        "images": [
            {**image, "neg_category_ids": sorted(absent[i]), "not_exhaustive_category_ids": sorted(incomplete[i])}
            for i, image in enumerate(evaluator.ground_truth["images"])
        ],
        "categories": [{**c, "frequency": FREQUENCY[c["id"]]} for c in evaluator.ground_truth["categories"]],
    }
    found = {**truth, "annotations": evaluator.detections(iou_type)}
    reference = hotcoco.COCOeval(hotcoco.COCO(truth), hotcoco.COCO(found), iou_type, lvis_style=True)
    reference.run()
    expected = reference.get_results()
    scores = lvis_scores(evaluator, iou_type, absent, incomplete, FREQUENCY)
    assert scores == pytest.approx({name: expected[name] for name in scores}, abs=1e-9)
    whole = evaluator.compute()[f"{iou_type}/AP"]
    assert scores["AP"] > whole  # what nobody looked for is not wrong
    nothing = lvis_scores(evaluator, iou_type, {i: set(range(4)) for i in range(PICTURES)}, {}, FREQUENCY)
    assert nothing["AP"] == pytest.approx(whole)  # with all looked for, as COCO


@pytest.mark.parametrize("iou_type", IOU_TYPES)
def test_lvis_takes_the_best_detections_of_a_picture(iou_type: IouType) -> None:
    """Its cap is on all classes together, COCO's on each."""
    truth = make_ground_truth(0, PICTURES)
    truth["annotations"] = [a for a in truth["annotations"] if not a["iscrowd"]]
    capped = CocoEvaluator(truth, CLASSES, max_detections=5, backend="hotcoco")
    found = make_detections(truth, 0, extra=4)
    best = {i: sorted(results, key=lambda one: -one["score"])[:5] for i, results in found.items()}
    assert max(map(len, found.values())) > 5
    capped.update(found)
    all_looked_for = {i: set(range(4)) for i in range(PICTURES)}
    scores = lvis_scores(capped, iou_type, all_looked_for, {}, FREQUENCY)
    assert scores["AP"] == pytest.approx(capped.of(best).compute()[f"{iou_type}/AP"])
    assert scores["AP"] < capped.compute()[f"{iou_type}/AP"]


def erode(mask: np.ndarray, times: int) -> np.ndarray:
    """By a 3 x 3 neighbourhood, zeros outside, as often as told: as in the paper's own code."""
    for _ in range(times):
        padded = np.pad(mask, 1)
        shifts = [padded[1 + dy : 1 + dy + mask.shape[0], 1 + dx : 1 + dx + mask.shape[1]]
                  for dy in (-1, 0, 1) for dx in (-1, 0, 1)]  # fmt: skip
        mask = np.logical_and.reduce(shifts)
    return mask


def naive_boundary(mask: np.ndarray) -> np.ndarray:
    return mask & ~erode(mask, max(round(0.02 * float(np.hypot(*mask.shape))), 1))


def test_boundaries_are_what_erosion_takes_away() -> None:
    evaluator = evaluator_of(0)
    masks = [decode(known["segmentation"]) for known in evaluator.ground_truth["annotations"][:12]]
    edge, full = np.zeros(SIZE, bool), np.ones(SIZE, bool)
    edge[:40, 200:] = True
    ring = masks[0] & ~erode(masks[0], 3)
    small = np.ones((9, 12), bool)  # of whose diagonal 2 % are no pixel
    for mask in [*masks, edge, full, ring, small]:
        rle = encode_crops([Crop(mask, 0, 0)], mask.shape)[0]
        assert np.array_equal(decode(find_boundary(rle)), naive_boundary(mask))
    assert 0 < naive_boundary(full).sum() < full.sum()


def test_boundary_ap_by_hand() -> None:
    """A square of 100 found 3 pixels smaller on each side: IoU 0.884, boundaries 7 pixels wide overlap by far less."""
    square, smaller = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    square[50:150, 50:150], smaller[53:147, 53:147] = True, True
    truth = {**make_ground_truth(0, 1), "annotations": [annotation(1, 0, 0, square, 0)]}
    evaluator = CocoEvaluator(truth, CLASSES, max_detections=100, backend="hotcoco")
    evaluator.update({0: [as_result(annotation(1, 0, 0, smaller, 0), 0.9)]})
    outer, inner = naive_boundary(square), naive_boundary(smaller)
    overlap = (outer & inner).sum() / (outer | inner).sum()
    reached = sum(overlap >= 0.5 + 0.05 * i for i in range(10))
    assert evaluator.compute()["segm/AP"] == pytest.approx(0.8) and overlap < 0.5 and reached == 0
    assert boundary_scores(evaluator) == {"AP": 0.0, "AP50": 0.0, "AP75": 0.0}
    evaluator.update({0: [as_result(annotation(1, 0, 0, square, 0), 0.9)]})
    assert boundary_scores(evaluator) == pytest.approx({"AP": 1.0, "AP50": 1.0, "AP75": 1.0})
    shorter = square.copy()
    shorter[[50, 51, 148, 149]] = False  # boundaries overlap by 2204 / 2948 = 0.748
    evaluator.update({0: [as_result(annotation(1, 0, 0, shorter, 0), 0.9)]})
    assert boundary_scores(evaluator) == pytest.approx({"AP": 0.5, "AP50": 1.0, "AP75": 0.0})


def test_boundary_ap50_equals_a_naive_one() -> None:
    evaluator = evaluator_of(1)
    expected = []
    for label in (0, 1, 3):
        hits, total = [], 0
        for image, results in evaluator.predictions.items():
            known = [a for a in evaluator.ground_truth["annotations"] if a["image_id"] == image]
            free = [decode(a["segmentation"]) for a in known if a["category_id"] == label]
            total += len(free)
            for result in sorted((r for r in results if r["category_id"] == label), key=lambda r: -r["score"]):
                mine = decode(result["segmentation"])
                shared = [min(iou(mine, m), iou(naive_boundary(mine), naive_boundary(m))) for m in free]
                hit = max(shared, default=0) >= 0.5
                if hit:
                    free.pop(int(np.argmax(shared)))
                hits.append((result["score"], hit))
        hits.sort(key=lambda entry: -entry[0])
        right = np.cumsum([hit for _, hit in hits])
        precision, recall = right / np.arange(1, len(hits) + 1), right / total
        expected.append(np.mean([precision[recall >= p - 1e-12].max(initial=0) for p in np.linspace(0, 1, 101)]))
    found = boundary_scores(evaluator)["AP50"]
    assert found == pytest.approx(np.mean(expected)) and 0 < found < evaluator.compute()["segm/AP50"]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_an_empty_mask_has_an_empty_boundary() -> None:
    rle = encode_crops([Crop(np.zeros((0, 0), bool), 0, 0)], SIZE)[0]
    assert coco_mask.area(find_boundary(rle)) == 0


@pytest.mark.parametrize("cap, expected", [(2, (0.7, 1.0, 0.5)), (1, (0.0, 0.0, 0.0))])
def test_boundary_ap_leaves_out_crowds_and_what_is_beyond_the_cap(cap: int, expected: tuple[float, ...]) -> None:
    """Half a crowd region of 100, whose boundary lies in the region's by 0.684, found before an object."""
    crowd, half, square = (np.zeros(SIZE, bool) for _ in range(3))
    crowd[20:120, 20:120], half[20:120, 20:70], square[20:60, 150:190] = True, True, True
    known = [annotation(1, 0, 0, crowd, 1), annotation(2, 0, 0, square, 0)]
    truth = {**make_ground_truth(0, 1), "annotations": known}
    evaluator = CocoEvaluator(truth, CLASSES, max_detections=cap, backend="hotcoco")
    found = [(half, 0.9), (square, 0.8)]
    evaluator.update({0: [as_result(annotation(1, 0, 0, mask, 0), score) for mask, score in found]})
    assert list(boundary_scores(evaluator).values()) == pytest.approx(expected)
