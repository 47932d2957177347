import contextlib
import io
import math
import pickle
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.evaluation.coco import APART, CocoEvaluator
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.evaluation.tables import Backend
from maskrcnn.ops.paste import Crop, paste_crop

CLASSES = ["disc", "ring", "nothing has this label", "bar"]
NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
SIZE = (220, 240)


def ellipse(random: np.random.Generator, shortest: float, longest: float) -> np.ndarray:
    """A random ellipse with a wavy outline, wholly inside the picture: bitmap of SIZE."""
    a, b = random.uniform(shortest / 2, longest / 2, 2)
    reach = 1.15 * max(a, b) + 1
    cy, cx = random.uniform(reach, SIZE[0] - reach), random.uniform(reach, SIZE[1] - reach)
    angle, waves, phase = random.uniform(0, np.pi), random.integers(2, 6), random.uniform(0, 6)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5 - np.array([cy, cx])[:, None, None]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.hypot(u / a, v / b) <= 1 + 0.1 * np.sin(waves * np.arctan2(v, u) + phase)


def box_of(bitmap: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(bitmap.any(1)), np.flatnonzero(bitmap.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def annotation(identity: int, image: int, label: int, bitmap: np.ndarray, iscrowd: int) -> dict[str, Any]:
    x1, y1, x2, y2 = box_of(bitmap).tolist()
    return {
        "id": identity, "image_id": image, "category_id": label, "iscrowd": iscrowd,
        "bbox": [x1, y1, x2 - x1, y2 - y1], "area": float(bitmap.sum()),
        "segmentation": encode_crops([Crop(bitmap, 0, 0)], SIZE)[0],
    }  # fmt: skip


def make_ground_truth(seed: int, images: int) -> dict[str, Any]:
    """Every fourth picture is empty, every seventh object is a crowd, nothing has label 2."""
    random = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    for image in range(images):
        for _ in range(0 if image % 4 == 3 else random.integers(1, 7)):
            label, number = int(random.choice([0, 1, 3])), len(annotations) + 1
            annotations.append(annotation(number, image, label, ellipse(random, 10, 160), int(number % 7 == 0)))
    return {
        "images": [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(images)],
        "categories": [{"id": label, "name": name} for label, name in enumerate(CLASSES)],
        "annotations": annotations,
    }


def as_result(known: dict[str, Any], score: float) -> Result:
    return Result(
        image_id=known["image_id"],
        category_id=known["category_id"],
        bbox=known["bbox"],
        score=score,
        segmentation=known["segmentation"],
    )


def as_results(ground_truth: dict[str, Any]) -> dict[int, list[Result]]:
    results: dict[int, list[Result]] = {image["id"]: [] for image in ground_truth["images"]}
    for known in ground_truth["annotations"]:
        if not known["iscrowd"]:
            results[known["image_id"]].append(as_result(known, 0.9))
    return results


def make_detections(ground_truth: dict[str, Any], seed: int, extra: int) -> dict[int, list[Result]]:
    """Shifted ground truth, some of it found twice or as another class, and `extra` inventions a picture.

    Scores come in steps of 0.1, so that there are many ties.
    """
    random = np.random.default_rng(seed)
    results: dict[int, list[Result]] = {image["id"]: [] for image in ground_truth["images"]}

    def add(image: int, label: int, bitmap: np.ndarray) -> None:
        score = float(random.integers(1, 10) / 10)
        results[image].append(as_result(annotation(1, image, label, bitmap, 0), score))

    for known in ground_truth["annotations"]:
        bitmap = coco_mask.decode(known["segmentation"]).astype(bool)
        for _ in range(random.integers(0, 3)):
            label = known["category_id"] if random.random() < 0.8 else int(random.integers(0, 4))
            shifted = np.roll(bitmap, random.integers(-4, 5, 2), (0, 1))
            add(known["image_id"], label, shifted)
    for image in results:
        for _ in range(extra):
            add(image, int(random.integers(0, 4)), ellipse(random, 10, 60))
    return results


def flat(results: dict[int, list[Result]]) -> list[dict[str, Any]]:
    return [dict(result) for image in sorted(results) for result in results[image]]


def pycocotools_evaluation(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], iou_type: str, images: list[int]
) -> COCOeval:
    """The way of pycocotools' own demo: masks go without boxes, as in Detectron2."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = ground_truth
        known.createIndex()
        left_out = "bbox" if iou_type == "segm" else "segmentation"
        found = known.loadRes([{k: v for k, v in result.items() if k != left_out} for result in results])
        evaluation = COCOeval(known, found, iou_type)
        evaluation.params.imgIds = images
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.fixture(scope="module")
def ground_truth() -> dict[str, Any]:
    return make_ground_truth(seed=0, images=12)


def evaluator_of(ground_truth: dict[str, Any], max_detections: int = 100) -> CocoEvaluator:
    return CocoEvaluator(ground_truth, CLASSES, max_detections=max_detections, backend="hotcoco")


def test_ground_truth_scores_one(ground_truth: dict[str, Any]) -> None:
    assert any(known["iscrowd"] for known in ground_truth["annotations"])
    evaluator = evaluator_of(ground_truth)
    evaluator.update(as_results(ground_truth))
    scores = evaluator.compute()
    assert list(scores) == [f"{iou_type}/{name}" for iou_type in ("bbox", "segm") for name in NAMES]
    for name, score in scores.items():
        if not name.endswith(("AR1", "AR10")):
            assert score == pytest.approx(1.0, abs=1e-12), name
    assert 0 < scores["segm/AR1"] < 1  # several objects a picture
    perfect = {"bbox/AP": 1.0, "bbox/AP50": 1.0, "segm/AP": 1.0, "segm/AP50": 1.0}
    for label, name in enumerate(CLASSES):
        expected = dict.fromkeys(perfect, math.nan) if label == 2 else perfect
        assert evaluator.per_class()[name] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("seed", [1, 2])
def test_equals_pycocotools_summary(ground_truth: dict[str, Any], seed: int) -> None:
    results = make_detections(ground_truth, seed, extra=4)
    evaluator = evaluator_of(ground_truth)
    evaluator.update(results)
    scores = evaluator.compute()
    for iou_type in ("bbox", "segm"):
        summary = pycocotools_evaluation(ground_truth, flat(results), iou_type, list(range(12))).stats
        assert [scores[f"{iou_type}/{name}"] for name in NAMES] == summary.tolist()
        assert 0.05 < summary[0] < 0.95


def test_per_class_averages_to_the_whole(ground_truth: dict[str, Any]) -> None:
    evaluator = evaluator_of(ground_truth)
    evaluator.update(make_detections(ground_truth, 1, extra=4))
    scores, per_class = evaluator.compute(), evaluator.per_class()
    assert math.isnan(per_class[CLASSES[2]]["segm/AP"])
    for name in ("bbox/AP", "bbox/AP50", "segm/AP", "segm/AP50"):
        parts = [per_class[CLASSES[label]][name] for label in (0, 1, 3)]
        assert len(set(parts)) == 3
        assert np.mean(parts) == pytest.approx(scores[name], abs=1e-12)


def naive_ap50(ground_truth: dict[str, Any], results: dict[int, list[Result]], label: int, cap: int) -> float:
    """101-point average precision of one class's masks at IoU 0.5 from the definition; no crowds."""
    hits: list[tuple[float, bool]] = []
    total = 0
    for image in sorted(results):
        objects = [a for a in ground_truth["annotations"] if (a["image_id"], a["category_id"]) == (image, label)]
        known = [a["segmentation"] for a in objects]
        total += len(known)
        of_class = [result for result in results[image] if result["category_id"] == label]
        free = set(range(len(known)))
        for result in sorted(of_class, key=lambda result: -result["score"])[:cap]:
            ious = {i: float(coco_mask.iou([result["segmentation"]], [known[i]], [0])[0, 0]) for i in free}
            best = max(ious, key=lambda i: ious[i], default=None)
            hit = False
            if best is not None and ious[best] >= 0.5:
                free.remove(best)
                hit = True
            hits.append((result["score"], hit))
    hits.sort(key=lambda entry: -entry[0])
    found = np.cumsum([hit for _, hit in hits])
    recall, precision = found / total, found / np.arange(1, len(hits) + 1)
    points = [precision[recall >= point - 1e-12].max(initial=0) for point in np.linspace(0, 1, 101)]
    return float(np.mean(points))


def test_cap_of_300_counts_what_100_leaves_out() -> None:
    """A picture with 150 objects, detections 101 to 150 are good too; pycocotools' own headline is -1 at 300."""
    bitmaps = []
    for i in range(150):
        bitmap = np.zeros(SIZE, bool)
        row, column = divmod(i, 15)
        bitmap[row * 15 + 2 : row * 15 + 12, column * 13 + 1 : column * 13 + 11] = True
        bitmaps.append(bitmap)
    truth = make_ground_truth(seed=0, images=1)
    truth["annotations"] = [annotation(i + 1, 0, 0, bitmap, 0) for i, bitmap in enumerate(bitmaps)]
    results = as_results(truth)
    for i, result in enumerate(results[0]):
        result["score"] = 1 - i / 1000
    wrong = annotation(1, 0, 0, np.roll(bitmaps[0], 8, 1), 0)
    results[0].insert(20, as_result(wrong, results[0][20]["score"]))

    scores = {}
    for cap in (100, 300):
        evaluator = evaluator_of(truth, cap)
        evaluator.update(results)
        scores[cap] = evaluator.compute()
        assert scores[cap]["segm/AP50"] == pytest.approx(naive_ap50(truth, results, 0, cap), abs=1e-12)
    assert scores[100]["segm/AR100"] == pytest.approx(99 / 150)
    assert scores[300]["segm/AR300"] == pytest.approx(1.0)
    assert "segm/AR100" not in scores[300]
    assert scores[300]["segm/AP50"] > scores[100]["segm/AP50"] + 0.3
    assert (scores[300]["segm/AR1"], scores[300]["segm/AR10"]) == pytest.approx((1 / 150, 10 / 150))
    assert math.isnan(scores[300]["segm/APl"])


def test_cap_below_ten(ground_truth: dict[str, Any]) -> None:
    results = make_detections(ground_truth, 1, extra=4)
    ground_truth = {**ground_truth, "annotations": [a for a in ground_truth["annotations"] if not a["iscrowd"]]}
    evaluator = evaluator_of(ground_truth, 2)
    evaluator.update(results)
    expected = [naive_ap50(ground_truth, results, label, 2) for label in (0, 1, 3)]
    assert evaluator.compute()["segm/AP50"] == pytest.approx(np.mean(expected), abs=1e-12)
    assert {"segm/AR1", "segm/AR2", "segm/AR10"} <= evaluator.compute().keys()
    found = evaluator.per_class()
    assert [found[CLASSES[label]]["segm/AP50"] for label in (0, 1, 3)] == pytest.approx(expected, abs=1e-12)


def test_nothing_found_scores_zero(ground_truth: dict[str, Any]) -> None:
    evaluator = evaluator_of(ground_truth)
    untouched = evaluator.compute()
    evaluator.update({image: [] for image in range(12)})
    assert evaluator.compute() == untouched == {name: 0.0 for name in untouched}


def test_only_pictures_that_were_looked_at_count(ground_truth: dict[str, Any]) -> None:
    results = make_detections(ground_truth, 1, extra=4)
    seen = [1, 3, 6]
    evaluator = evaluator_of(ground_truth)
    evaluator.update({image: results[image] for image in seen})
    some = [result for image in seen for result in flat({image: results[image]})]
    summary = pycocotools_evaluation(ground_truth, some, "segm", seen).stats
    assert evaluator.compute()["segm/AP"] == summary[0] > 0

    evaluator.reset()
    evaluator.update({3: []})  # a picture without objects in which nothing was found
    assert all(math.isnan(score) for score in evaluator.compute().values())


def test_a_picture_counts_once(ground_truth: dict[str, Any]) -> None:
    results = make_detections(ground_truth, 1, extra=4)
    once, twice = evaluator_of(ground_truth), evaluator_of(ground_truth)
    once.update(results)
    twice.update({0: results[1]})  # replaced below
    twice.compute()
    for image in reversed(range(12)):
        twice.update({image: results[image]})
    twice.update({4: results[4]})
    assert twice.compute() == once.compute()


def test_matches_of_many_batches_are_put_together(ground_truth: dict[str, Any]) -> None:
    results = make_detections(ground_truth, 1, extra=4)
    once, often = evaluator_of(ground_truth), evaluator_of(ground_truth)
    once.update(results)
    often.update({0: results[1]})  # replaced by the last
    for i in range(APART + 50):
        often.update({i % 12: results[i % 12]})
    assert len(often.part().matches) == 51
    assert often.compute() == once.compute()


@pytest.mark.parametrize("backend", ["hotcoco", "pycocotools"])
def test_evaluators_of_parts_join_to_one_of_all(ground_truth: dict[str, Any], backend: Backend) -> None:
    """Pictures in turns as ranks get them, the first ones by both; scores come in ties."""
    results = make_detections(ground_truth, 1, extra=4)
    ranks = [CocoEvaluator(ground_truth, CLASSES, max_detections=100, backend=backend) for _ in range(3)]
    for i in [*range(12), 0, 1]:
        ranks[i % 2].update({i: results[i]})
    ranks[1].update({0: results[0][:1]})  # replaced by rank 0's, where that comes last
    whole = evaluator_of(ground_truth)
    whole.update(results)
    ranks[2].update({3: results[3]})  # forgotten
    ranks[2].join([pickle.loads(pickle.dumps(rank.part())) for rank in (ranks[1], ranks[0])])
    assert ranks[2].compute() == whole.compute()
    assert ranks[2].predictions == results and list(ranks[2].predictions) == list(range(12))
    ranks[2].join([])
    assert ranks[2].predictions == {} and ranks[2].compute()["segm/AP"] == 0


def test_reset_forgets(ground_truth: dict[str, Any]) -> None:
    evaluator = evaluator_of(ground_truth)
    evaluator.update(as_results(ground_truth))
    assert evaluator.compute()["segm/AP"] > 0.99
    evaluator.reset()
    evaluator.update({image: [] for image in range(12)})
    assert evaluator.compute()["segm/AP"] == 0


def test_area_of_a_mask_is_not_that_of_its_box() -> None:
    """A wrong thin diagonal in a box over 32^2 pixels is a small detection: it costs no precision among medium ones."""
    truth = make_ground_truth(seed=0, images=1)
    disc, diagonal = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    disc[50:90, 50:90] = True
    diagonal[np.arange(100, 150), np.arange(100, 150)] = True
    truth["annotations"] = [annotation(1, 0, 0, disc, 0)]
    results = as_results(truth)
    wrong = annotation(1, 0, 0, diagonal, 0)
    results[0].append(as_result(wrong, 1.0))
    evaluator = evaluator_of(truth)
    evaluator.update(results)
    scores = evaluator.compute()
    assert (scores["segm/AP"], scores["segm/APm"], scores["bbox/APm"]) == pytest.approx((0.5, 1.0, 0.5), abs=1e-12)


def test_evaluates_quietly_and_leaves_the_ground_truth_alone(ground_truth: dict[str, Any], capsys: Any) -> None:
    truth = make_ground_truth(seed=5, images=4)
    evaluator = evaluator_of(truth)
    evaluator.update(as_results(truth))
    evaluator.compute()
    assert capsys.readouterr().out == ""
    assert all(known == again for known, again in zip(
        truth["annotations"], make_ground_truth(seed=5, images=4)["annotations"], strict=True
    ))  # fmt: skip


def test_cap_must_be_positive(ground_truth: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="max_detections is 0; give 1 or more"):
        evaluator_of(ground_truth, 0)


def area_average(bitmap: np.ndarray, box: np.ndarray, cells: int) -> np.ndarray:
    """Coverage [cells, cells] of the box's cells, exact: overlaps of cells and pixels, one axis after the other."""

    def overlaps(low: float, high: float, length: int) -> np.ndarray:
        edges = np.linspace(low, high, cells + 1)
        pixels = np.arange(length)
        shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        return np.maximum(shared, 0) / ((high - low) / cells)

    x1, y1, x2, y2 = (float(edge) for edge in box)
    return (overlaps(y1, y2, SIZE[0]) @ bitmap @ overlaps(x1, x2, SIZE[1]).T).astype(np.float32)


def test_ceiling_of_28_x_28_masks() -> None:
    """What the best mask head could reach: the truth through 28 x 28 and back, for objects of 12 to 120 pixels."""
    random = np.random.default_rng(0)
    ious = []
    for _ in range(100):
        bitmap = ellipse(random, 12, 120)
        box = box_of(bitmap)
        crops = [paste_crop(area_average(bitmap, box, 28), box, SIZE, "continuous"), Crop(bitmap, 0, 0)]
        pasted, known = encode_crops(crops, SIZE)
        ious.append(float(coco_mask.iou([pasted], [known], [0])[0, 0]))
    assert np.mean(ious) >= 0.98
    assert np.min(ious) >= 0.95
