"""Numbers and shapes behind a report."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.records import Instances, Record
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.curves import make_curves
from maskrcnn.evaluation.pairing import Pairing
from maskrcnn.page.duration import duration
from maskrcnn.report.analysis import curves_sections
from maskrcnn.report.gallery import gallery_section
from maskrcnn.report.outline import outline_path
from maskrcnn.report.ranking import Judged, quality
from maskrcnn.report.section import number, section
from maskrcnn.report.training import MOST, thin
from tests.evaluation.test_coco import annotation, as_result

NOTHING = Pairing([], [], np.zeros((0, 0), bool), np.zeros(0, bool), np.zeros((0, 0)), np.zeros(0, np.int64))


def test_an_outline_runs_along_the_edges_of_pixels() -> None:
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    path = outline_path(mask, 0.5)
    assert path.startswith("M") and path.endswith("Z")
    assert set(path[1:-1].split()) == {"3,2", "7,2", "7,5", "3,5"}


def test_a_staircase_becomes_a_slope() -> None:
    exact, rough = (outline_path(np.tri(40, dtype=bool), coarseness) for coarseness in (0.1, 1.0))
    assert exact.count(",") > 70 and rough.count(",") <= 6


def test_a_long_curve_keeps_its_mean() -> None:
    points = [(float(i), float(i % 7)) for i in range(MOST * 4)]
    thinned = thin(points)
    assert len(thinned) == MOST and thinned[1] == (5.5, pytest.approx((4 + 5 + 6 + 0) / 4))
    assert thin(points[:MOST]) == points[:MOST]


def test_quality_is_the_iou_of_pairs_over_pairs_and_half_the_errors() -> None:
    scores, crowd = [0.9, 0.7, 0.6, 0.3], np.array([False, False, False, True])
    detections: list[Any] = [{"score": score} for score in scores]
    iou = np.zeros((4, 4))
    iou[0, 1], iou[2, 3], iou[3, 0] = 0.8, 0.9, 0.6
    pairing = Pairing(detections, [{}] * 4, iou > 0, crowd, iou, np.array([1, -1, 3, 0]))
    assert quality(pairing, 0.1) == pytest.approx(1.4 / (2 + 0.5 * (1 + 1)))
    assert quality(pairing, 0.5) == pytest.approx(0.8 / (1 + 0.5 * (1 + 2)))
    assert quality(pairing, 0.95) == 0
    assert np.isnan(quality(NOTHING, 0.5))


def test_of_many_classes_the_most_frequent_confusions_are_listed() -> None:
    names = [f"kind {i}" for i in range(21)]
    bitmaps = [np.zeros((220, 240), bool) for _ in range(3)]
    for i, bitmap in enumerate(bitmaps):
        bitmap[10:40, 60 * i : 60 * i + 30] = True
    objects = [annotation(i + 1, 0, label, bitmap, 0) for i, (label, bitmap) in enumerate(zip((3, 3, 5), bitmaps))]
    truth = {
        "images": [{"id": 0, "height": 220, "width": 240}],
        "annotations": objects,
        "categories": [{"id": label, "name": name} for label, name in enumerate(names)],
    }
    evaluator = CocoEvaluator(truth, names, max_detections=100, backend="hotcoco")
    evaluator.update({0: [as_result({**one, "category_id": 7}, 0.9) for one in objects[:2]]})
    curves, confusion, _ = curves_sections(make_curves(evaluator, 0.5)["segm"])
    rows = re.findall("<tr class=[^>]*><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", confusion)
    assert rows == [("kind 3", "kind 7", "2"), ("kind 5", "not found", "1")]
    drawn = re.findall("<title>(.*?)</title>", curves)
    assert sorted(drawn) == ["all, IoU 0.50", "all, IoU 0.75", "kind 3", "kind 3", "kind 5", "kind 5"]


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "<gone>.png"
    none = Instances(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), [])
    judged = [Judged(0, NOTHING, 0.25)]
    shown = gallery_section(
        judged, [], [Record(1, path.name, path, 8, 8, none, none)], PictureReader(3, 255), ["disc"], 0.5
    )
    assert "<b>&lt;gone&gt;.png</b>, quality 0.25: " in shown and "<image" not in shown


def test_times_numbers_and_empty_parts() -> None:
    assert [duration(seconds) for seconds in (40.2, 312, 11160, math.nan)] == ["40 s", "5.2 min", "3.1 h", "-"]
    assert [number(value) for value in (0.12345, float("nan"), None)] == ["0.123", "-", "-"]
    assert section("Scores", "", "") == ""
