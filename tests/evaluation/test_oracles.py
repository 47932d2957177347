"""What average precision would be with one part perfect, on cases where only that part is wrong."""

from typing import Any

import numpy as np
import pytest

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.oracles import ask_oracles, perfect_masks, perfect_scores
from maskrcnn.evaluation.pairing import Pairing, pair
from maskrcnn.evaluation.rle import decode, encode_crops
from maskrcnn.ops.paste import Crop

SIZE = (60, 80)
BOXES = [[5, 5, 20, 20], [40, 10, 16, 24], [10, 35, 30, 18]]  # x, y, width, height
LABELS = [0, 1, 0]


def ellipse(box: list[int]) -> Any:
    x, y, width, height = box
    rows, columns = np.mgrid[:height, :width] + 0.5
    inside = ((rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2) <= 0.25
    return encode_crops([Crop(inside, y, x)], SIZE)[0]


def truth() -> dict[str, Any]:
    annotations = [
        {"id": i + 1, "image_id": 0, "category_id": label, "bbox": box, "area": 300, "iscrowd": 0}
        | {"segmentation": ellipse(box)}
        for i, (box, label) in enumerate(zip(BOXES, LABELS))
    ]
    categories = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    images = [{"id": 0, "height": SIZE[0], "width": SIZE[1]}]
    return {"info": {}, "images": images, "categories": categories, "annotations": annotations}


def found(boxes: list[list[int]], labels: list[int], scores: list[float]) -> list[Any]:
    return [
        {"image_id": 0, "category_id": label, "bbox": [float(edge) for edge in box], "score": score}
        | {"segmentation": ellipse(box)}
        for box, label, score in zip(boxes, labels, scores)
    ]


def ask(results: list[Any]) -> dict[str, dict[str, dict[str, float]]]:
    evaluator = CocoEvaluator(truth(), ["a", "b"], max_detections=100, backend="hotcoco")
    evaluator.update({0: results})
    return ask_oracles(evaluator, 0.5)


def precision(answers: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    return {f"{kind}/{name}": round(row["AP"], 3) for kind, rows in answers.items() for name, row in rows.items()}


def test_of_what_is_right_all_oracles_give_1() -> None:
    assert set(precision(ask(found(BOXES, LABELS, [0.9, 0.8, 0.7]))).values()) == {1.0}


def test_only_boxes_are_wrong() -> None:
    moved = [[x + 6, y - 4, width + 2, height] for x, y, width, height in BOXES]
    answers = precision(ask(found(moved, LABELS, [0.9, 0.8, 0.7])))
    assert answers["bbox/as it is"] < 0.3 > answers["segm/as it is"]
    assert answers["bbox/boxes"] == answers["segm/boxes and masks"] == 1.0
    assert answers["segm/as it is"] < answers["segm/masks"] < 0.9  # boxes cut the masks
    assert answers["bbox/classes"] == answers["bbox/as it is"]


def test_only_classes_are_wrong() -> None:
    answers = precision(ask(found(BOXES, [1, 0, 0], [0.9, 0.8, 0.7])))
    assert answers["segm/as it is"] < 0.3 and answers["segm/classes"] == answers["bbox/classes"] == 1.0
    assert answers["segm/masks"] == answers["segm/as it is"]


def test_a_second_class_of_the_same_object_is_left_out() -> None:
    answers = precision(ask(found([*BOXES, BOXES[0]], [*LABELS, 1], [0.9, 0.8, 0.7, 0.95])))
    assert answers["segm/classes"] == 1.0


def test_duplicates_do_not_rank_with_what_is_right() -> None:
    near = [[x + 1, y, width, height] for x, y, width, height in BOXES]
    answers = precision(ask(found(near + BOXES, LABELS + LABELS, [0.9, 0.8, 0.7, 0.3, 0.2, 0.1])))
    assert answers["bbox/scores"] == answers["segm/scores"] == 1.0


def test_only_scores_are_wrong() -> None:
    nothing = [[60, 50, 9, 9], [62, 40, 8, 8]]
    results = found([*BOXES, *nothing], [*LABELS, 0, 1], [0.3, 0.2, 0.1, 0.9, 0.9])
    answers = precision(ask(results))
    assert answers["segm/as it is"] < 0.7 and answers["segm/scores"] == answers["bbox/scores"] == 1.0


def test_only_masks_are_wrong() -> None:
    results = found(BOXES, LABELS, [0.9, 0.8, 0.7])
    for result in results:
        result["segmentation"] = encode_crops([Crop(np.zeros((0, 0), bool), 0, 0)], SIZE)[0]
    answers = precision(ask(results))
    assert answers["segm/as it is"] == 0.0 and answers["segm/masks"] == 1.0
    assert answers["bbox/as it is"] == 1.0 and "bbox/masks" not in answers


def test_a_perfect_mask_stays_within_its_box() -> None:
    half = [[5, 5, 10, 20]]
    pairing = pair(found(half, [0], [0.9]), truth()["annotations"], "segm", 0.5, 100)
    (result,) = perfect_masks(pairing, 0.5)
    whole = decode(ellipse(BOXES[0]))
    whole[:, 15:] = False
    assert np.array_equal(decode(result["segmentation"]), whole)


def test_numbers_are_undefined_without_objects() -> None:
    evaluator = CocoEvaluator({**truth(), "annotations": []}, ["a", "b"], max_detections=100, backend="hotcoco")
    evaluator.update({0: found(BOXES, LABELS, [0.9, 0.8, 0.7])})
    assert all(np.isnan(row["AP"]) for rows in ask_oracles(evaluator, 0.5).values() for row in rows.values())


def test_wrong_masks_on_wrong_boxes_are_not_mended_by_one_oracle() -> None:
    far = [[5, 5, 20, 20], [60, 40, 16, 16], [10, 35, 30, 18]]
    answers = precision(ask(found(far, LABELS, [0.9, 0.8, 0.7])))
    assert answers["segm/masks"] == answers["segm/boxes and masks"] == pytest.approx(0.5)


def test_a_score_is_of_the_object_that_a_detection_overlaps_most() -> None:
    """The second detection is the best of the second object, but is of the first, which another finds better."""
    results: Any = [{"score": 0.9}, {"score": 0.8}]
    iou = np.array([[1.0, 0.0], [0.6, 0.2]])
    pairing = Pairing(results, [{}, {}], np.ones((2, 2), bool), np.zeros(2, bool), iou, np.array([0, -1]))
    assert [result["score"] for result in perfect_scores(pairing, 0.5)] == [1.0, 0.0]
