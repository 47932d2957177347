"""A report in a browser without a network, on a wide window and on a phone."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.records import Instances, Record
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.curves import make_curves
from maskrcnn.evaluation.errors import count_errors
from maskrcnn.evaluation.oracles import ask_oracles
from maskrcnn.evaluation.results import Result
from maskrcnn.page.bars import bars
from maskrcnn.page.html import table, write_html
from maskrcnn.report.analysis import curves_sections
from maskrcnn.report.errors import errors_section, funnel_section
from maskrcnn.report.gallery import gallery_section
from maskrcnn.report.page import write_report
from maskrcnn.report.ranking import rank
from maskrcnn.report.receipt import receipt_section
from maskrcnn.report.scores import scores_section, slices_section
from maskrcnn.report.training import training_section
from tests.evaluation.test_coco import annotation, as_result
from tests.report.browser import Page

SIZE = (220, 240)
CLASSES = ["disc", "a <b>bold</b> & long name of a class"]
VERSION = {"python": "3.11"}
START = {
    "time": "2026-01-02T03:04:05+00:00", "overrides": ["optimizer.lr=0.01", "data.root=a folder"], "commit": "c" * 40,
    "diff": "start_1.diff", "versions": VERSION, "step": 0,
    "hardware": {"cpu": "a processor", "cores": 2, "threads": 1, "gpus": []},
    "data": {"train": {"number": 7, "annotations": "a" * 64, "pictures": "b" * 64}},
}  # fmt: skip
RECEIPT: dict[str, Any] = {
    "identity": "0123456789ab", "config": {"seed": 5}, "starts": [START],
    "end": {"finished": True, "steps": 40, "seconds": 90.0, "weights": "d" * 64},
}  # fmt: skip


SLICED = ("segm/AP", "segm/AP50", "segm/AR", "bbox/AP")
FUNNEL = {
    "iou": 0.5, "chart": "chart.svg", "counts": {"all": {"objects": 2, "found": 1}},
    "buckets": [
        {"name": "no_proposal", "title": "no proposal reached it", "lost": 1, "remedy": "give more of them",
         "keys": {"a.key": 100, "another": None}, "gallery": "no_proposal.png"},
        {"name": "cut", "title": "cut by the cap", "lost": 0, "remedy": "raise it", "keys": {}, "gallery": None},
    ],
}  # fmt: skip


def square(left: int, top: int, side: int) -> np.ndarray:
    bitmap = np.zeros(SIZE, bool)
    bitmap[top : top + side, left : left + side] = True
    return bitmap


def found(picture: int, label: int, score: float, left: int, top: int, side: int) -> Result:
    return as_result(annotation(1, picture, label, square(left, top, side), 0), score)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two pictures: all right in the first; in the second two objects, one found at 0.8 and one at 0.3, a
    crowd region, and one invention at 0.6."""
    folder = tmp_path_factory.mktemp("report")
    places = [(0, 0, 20, 20, 60, 0), (1, 0, 20, 20, 60, 0), (1, 1, 120, 20, 60, 0), (1, 0, 20, 120, 60, 1)]
    entries = [
        annotation(number, picture, label, square(left, top, side), crowd)
        for number, (picture, label, left, top, side, crowd) in enumerate(places, start=1)
    ]
    images = [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(2)]
    truth = {
        "images": images,
        "annotations": entries,
        "categories": [{"id": label, "name": name} for label, name in enumerate(CLASSES)],
    }
    evaluator = CocoEvaluator(truth, CLASSES, max_detections=100, backend="hotcoco")
    second = [(0, 0.8, 20, 20, 58), (1, 0.3, 120, 20, 50), (0, 0.6, 120, 120, 50), (0, 0.7, 30, 130, 40)]
    evaluator.update(
        {
            0: [found(0, 0, 0.9, 20, 20, 60)],
            1: sorted((found(1, *one) for one in second), key=lambda one: -one["score"]),
        }
    )
    none = Instances(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), [])
    records = []
    for i in range(2):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), np.full((*SIZE, 3), 90 + 40 * i, np.uint8))
        records.append(Record(i, path.name, path, *SIZE, none, none))
    worst, best = rank(evaluator, 0.5)
    assert [judged.picture for judged in (*worst, *best)] == [1, 0]
    curves = {"train/loss": [(float(step), 3 / (1 + step)) for step in range(40)], "segm/AP": [(39.0, 0.3)]}
    chart = folder / "chart.svg"
    chart.write_text('<svg width="720" height="20"><text x="10" y="15">a chart</text></svg>')
    cv2.imwrite(str(folder / "no_proposal.png"), np.full((40, 2000, 3), 99, np.uint8))
    errors = {
        "iou": 0.5,
        "errors": {"segm": count_errors(evaluator, "segm", 0.5)},
        "oracles": ask_oracles(evaluator, 0.5),
        "galleries": {"background": "no_proposal.png", "class": None},
    }
    sections = [
        receipt_section(RECEIPT),
        training_section(curves),
        scores_section({**evaluator.compute(), "per_class": evaluator.per_class()}),
        slices_section(
            {"small": {"condition": "area < 1024", "pictures": 3, "objects": 8, **dict.fromkeys(SLICED, 0.25)}}
        ),
        *curves_sections(make_curves(evaluator, 0.5)["segm"]),
        funnel_section(FUNNEL, folder),
        errors_section(errors, folder),
        gallery_section(worst, best, records, PictureReader(3, 255), CLASSES, 0.5),
    ]
    write_report("Run demo", "mask AP <b>0.5</b>", sections, folder / "report.html")
    return folder / "report.html"


def test_it_shows_everything_without_an_error_or_a_network(html: Path, page: Page) -> None:
    page.open(html, 1200, 800)
    assert page.run("[...document.querySelectorAll('h2')].map(h => h.textContent)") == [
        "Receipt", "Training", "Scores", "Slices", "Precision and recall", "Confusion", "Calibration", "Lost objects",
        "Errors", "Pictures",
    ]  # fmt: skip
    assert page.run("document.querySelectorAll('nav a').length") == 10
    assert page.run(
        "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.getAttribute('href')))"
    )
    facts = page.run("document.querySelector('.facts').innerText")
    assert "python train.py optimizer.lr=0.01 'data.root=a folder'" in facts and "2026-01-02 03:04 UTC" in facts
    assert "finished, 40 steps in 1.5 min" in facts and "commit cccccccccccc with the changes in start_1.diff" in facts
    text = page.run("document.body.innerText")
    assert "area < 1024" in text and "1 of 2 objects were found at IoU 0.5 of masks, at any score" in text
    assert "no proposal reached it" in text and "a.key=100, another=null" in text
    matrix = page.run("[...document.querySelectorAll('.matrix tr')].map(row => row.innerText.trim().split('\\t'))")
    assert matrix[1][:2] == ["disc", "2"] and matrix[2][-1] == "1" and matrix[3][:2] == ["nothing", "1"]
    assert page.run("[...document.querySelectorAll('details img')].map(i => i.naturalWidth)") == [1000, 1000]
    assert page.run("[...document.querySelectorAll('.sides image')].every(i => i.getBBox().width == 240)")
    assert page.run("[...document.querySelectorAll('b')].every(b => b.textContent != 'bold')"), (
        "a class's name is no HTML"
    )
    assert page.run("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    assert page.errors == []


def test_the_slider_shows_and_counts_what_scores_enough(html: Path, page: Page) -> None:
    page.open(html, 1200, 800)

    def at(score: float) -> tuple[str, list[str], int]:
        page.run(f"score.value = {score}; score.dispatchEvent(new Event('input'))")
        shown = "[...document.querySelectorAll('[data-score]')].filter(g => g.getBoundingClientRect().width > 0)"
        names = page.run(f"{shown}.map(g => g.querySelector('title').textContent)")
        dashed = (
            "[...document.querySelectorAll('.object .line')].filter(p => getComputedStyle(p).strokeDasharray != 'none')"
        )
        return page.run("counts.textContent"), sorted(names), page.run(f"{dashed}.length")

    assert page.run("score.value") == "0.5"
    assert at(0.5) == (
        "2 right, 1 wrong, 1 missed in these pictures",
        ["disc 0.60 (background)", "disc 0.70", "disc 0.80", "disc 0.90"],
        1,
    )
    assert at(0.25) == (
        "3 right, 1 wrong, 0 missed in these pictures",
        [f"{CLASSES[1]} 0.30", "disc 0.60 (background)", "disc 0.70", "disc 0.80", "disc 0.90"],
        0,
    )
    assert at(0.85) == ("1 right, 0 wrong, 2 missed in these pictures", ["disc 0.90"], 2)
    assert page.run("document.querySelector('.counts').textContent") == "0 right, 0 wrong, 2 missed"
    visible = "getComputedStyle(document.querySelector('.sides text')).display"
    assert page.run(visible) != "none"
    page.run("names.click()")
    assert page.run(visible) == "none"
    assert page.errors == []


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_wider_than_the_window(html: Path, page: Page, width: int) -> None:
    page.open(html, width, 800)
    assert page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert page.run("Math.min(...[...document.querySelectorAll('.sides svg')].map(s => s.clientWidth))") >= 150


def test_what_is_long_scrolls_by_itself(page: Page, tmp_path: Path) -> None:
    """Of LVIS's 1,203 classes, a table is 36,000 pixels high and a chart 22,000."""
    many = {f"class {i}": i for i in range(1203)}
    write_html("many", [table(["class", "AP"], many.items()), bars(many, "objects by class")], tmp_path / "many.html")
    page.open(tmp_path / "many.html", 1200, 800)
    assert page.run("document.documentElement.scrollHeight") < 3000
    inner = page.run("[...document.querySelectorAll('.scroll')].map(part => part.scrollHeight)")
    assert len(inner) == 2 and min(inner) > 20_000  # nothing is left out
