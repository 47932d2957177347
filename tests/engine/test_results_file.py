"""Detections from elsewhere: read, and refused by name."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.data.annotations import CocoAnnotations, read_annotations
from maskrcnn.data.source import Split
from maskrcnn.engine.results_file import read_results

SQUARE = [[2, 3, 6, 3, 6, 7, 2, 7]]


@pytest.fixture
def annotations(tmp_path: Path) -> CocoAnnotations:
    names = ("a.png", "b.png")
    for name in names:
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
    images = [{"id": i, "file_name": name, "height": 20, "width": 30} for i, name in zip((10, 7), names)]
    known = {"id": 1, "image_id": 10, "category_id": 9, "segmentation": SQUARE, "bbox": [2, 3, 4, 4], "area": 16}
    categories = [{"id": 9, "name": "dog"}, {"id": 3, "name": "cat"}]
    content = {"images": images, "annotations": [known], "categories": categories}
    (tmp_path / "val.json").write_text(json.dumps(content))
    return read_annotations(Split(tmp_path, tmp_path / "val.json"))


def detection(**changes: Any) -> dict[str, Any]:
    made = {"image_id": 10, "category_id": 9, "bbox": [2, 3, 4, 4], "score": 0.5, "segmentation": SQUARE}
    return {key: value for key, value in (made | changes).items() if value != "absent"}


def test_every_form_of_mask_is_read_best_first(annotations: CocoAnnotations, tmp_path: Path) -> None:
    bitmap = np.zeros((20, 30), np.uint8)
    bitmap[3:7, 2:6] = 1
    rle = coco_mask.encode(np.asfortranarray(bitmap))
    counts = rle["counts"].decode()
    entries = [
        detection(score=0.25),
        detection(score=1, category_id=3, bbox="absent", segmentation={"size": [20, 30], "counts": counts}),
        detection(image_id=7, segmentation={"size": [20, 30], "counts": [43, 4, 553]}),
        detection(score=0.125, segmentation={"size": [20, 30], "counts": [600]}),  # empty: nothing reached one half
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(entries))
    found = read_results(path, annotations)
    assert [result["score"] for result in found[0]] == [1.0, 0.25, 0.125]
    assert [result["category_id"] for result in found[0]] == [0, 1, 1]  # labels count by category id
    assert found[0][0]["segmentation"] == found[0][1]["segmentation"] == {"size": [20, 30], "counts": counts}
    assert found[0][0]["bbox"] == [2, 3, 4, 4] and found[1][0]["image_id"] == 1
    assert coco_mask.area(found[0][2]["segmentation"]) == 0
    path.write_text("[]")
    assert read_results(path, annotations) == {0: [], 1: []}


@pytest.mark.parametrize(
    "content, answer",
    [
        ("{", "is not JSON, or broken"),
        ("[" * 100_000, "is not JSON, or broken"),
        ({"annotations": []}, "is an annotation file; COCO results are a list of detections"),
        ({"boxes": []}, "is not a list of detections, each with image_id, category_id, segmentation, score"),
        ([1], "is not a list of detections"),
        ([detection(), detection(score="absent")], "detection 1 (counted from 0) has no 'score'"),
        ([detection(image_id=8)], "detection 0 (counted from 0) has the image_id 8, which "),
        ([detection(image_id=8)], "val.json does not have; ids there: 10, 7"),
        (
            [detection(image_id="a.png")],
            "7; it is a file's name, as predict.py writes: evaluate.py writes ids",
        ),
        ([detection(category_id="dog")], "has the category_id 'dog', which "),
        ([detection(category_id=[9])], "has the category_id [9], which "),
        ([detection(score=float("nan"))], "has the score nan; it must be a finite number"),
        ([detection(score=float("inf"))], "has the score inf"),
        ([detection(score="high")], "has the score 'high'"),
        ([detection(segmentation=[])], "has a bad segmentation: an empty segmentation"),
        ([detection(segmentation={"size": [30, 20], "counts": [600]})], "run lengths of another size than the picture"),
        ([detection(segmentation={"size": [20, 30], "counts": [5, 5]})], "run lengths that do not span the picture"),
        (
            [detection()] * 2500 + [detection(segmentation={"size": [20, 30], "counts": [5, 5]})] * 2,
            "detection 2500 (counted from 0) has a bad segmentation: run lengths that do not span the picture",
        ),
        (
            [detection()] * 7 + [detection(segmentation={"size": [20, 30], "counts": "~"})],
            "detection 7 (counted from 0) has a bad segmentation: not a run-length encoding",
        ),
    ],
)
def test_what_is_refused(content: Any, answer: str, annotations: CocoAnnotations, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError) as raised:
        read_results(path, annotations)
    assert str(raised.value).startswith(str(path)) and answer in str(raised.value)


def test_a_missing_file(annotations: CocoAnnotations, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none.json: there is no such file"):
        read_results(tmp_path / "none.json", annotations)
