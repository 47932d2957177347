"""`python evaluate.py funnel=true` on a trained run."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import pytest

from maskrcnn.commands.evaluate import FILES, evaluate
from maskrcnn.commands.funnel import Funnel
from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.errors import count_errors
from maskrcnn.evaluation.oracles import ask_oracles
from maskrcnn.evaluation.pairing import pairings


def test_the_funnel_adds_up_to_recall(
    run: Path, command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    checkpoint = f"checkpoint={run}/checkpoints/best.ckpt"
    done = command(
        "evaluate.py", checkpoint, "funnel=true", "funnel_iou=0.3", f"output={tmp_path}", tiny=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "objects were missed at IoU 0.3, at any score" in done.stdout and "if one part were perfect" in done.stdout
    assert re.search(r"^ *mask errors at IoU 0\.3, of AP \d\.\d{3} *$", done.stdout, re.MULTILINE)  # unbroken
    found = json.loads((tmp_path / "funnel.json").read_text())
    everything = found["counts"]["all"]
    lost = sum(everything["lost"].values())
    assert everything["objects"] == everything["found"] + lost and lost == len(found["missed"]) > 5
    for group in ("classes", "sizes"):
        assert sum(row["objects"] for row in found["counts"][group].values()) == everything["objects"]
        assert sum(row["found"] for row in found["counts"][group].values()) == everything["found"]
    for bucket in found["buckets"]:
        assert bucket["lost"] == everything["lost"][bucket["name"]]
        assert bucket["lost"] == sum(one["bucket"] == bucket["name"] for one in found["missed"])
        assert (bucket["gallery"] is None) == (bucket["lost"] == 0)
        if bucket["gallery"]:
            picture = cv2.imread(str(tmp_path / bucket["gallery"]))
            assert picture is not None and picture.std() > 20
    keys = {key: value for bucket in found["buckets"] for key, value in bucket["keys"].items()}
    assert keys["model.box_head.score_threshold"] == 0.0 and keys["model.rpn.test_post_nms"] == 100
    assert found["missed"][0]["image_id"] is not None and found["missed"][0]["file_name"].endswith(".png")
    chart = ElementTree.fromstring((tmp_path / found["chart"]).read_text())
    texts = [node.text for node in chart.iter() if node.tag.endswith("text")]
    assert f"{lost} of {everything['objects']}" in texts
    errors = json.loads((tmp_path / "errors.json").read_text())
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert errors["iou"] == 0.3
    assert errors["oracles"]["segm"]["as it is"]["AP"] == pytest.approx(metrics["segm/AP"], abs=1e-12)
    assert errors["oracles"]["segm"]["boxes and masks"]["AP"] >= metrics["segm/AP"]
    for kind, gallery in errors["galleries"].items():
        assert (gallery is None) == (errors["errors"]["segm"]["kinds"][kind]["count"] == 0)
        assert gallery is None or (tmp_path / gallery).is_file()
    assert errors["galleries"]["background"] is not None


def test_an_evaluation_removes_what_one_before_wrote_and_nothing_else(run: Path, tmp_path: Path) -> None:
    mine = [tmp_path / "out" / name for name in ("notes.txt", "errors/mine.png")]
    for path in [*mine, *(tmp_path / "out" / name for name in FILES)]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of before")
    (tmp_path / "none.json").write_text("[]")
    options = {**to_plain(compose([], "evaluate")), "checkpoint": str(run / "checkpoints" / "best.ckpt")}
    evaluate(**build({**options, "results": str(tmp_path / "none.json"), "output": str(tmp_path / "out")}, []))
    left = {str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    written = {"detections.json", "metrics.json", "curves.json", "report.html"}
    assert left.keys() == written | {"notes.txt", "errors/mine.png"} and not (tmp_path / "out" / "funnel").exists()
    assert {name for name, path in left.items() if path.read_text() == "of before"} == left.keys() - written


def test_an_iou_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="funnel_iou is 50; give an IoU above 0 and at most 1, such as 0.5"):
        Funnel(50)


def test_ground_truth_as_detections_is_perfect_in_all_respects(
    open_shapes: Callable[..., CocoDataModule], shapes_root: Path
) -> None:
    data = open_shapes("data.source.train_pictures=1", "data.source.val_pictures=20", f"data.root={shapes_root}-20")
    evaluator = CocoEvaluator(
        data.val_annotations.ground_truth(), list(data.classes), max_detections=100, backend="hotcoco"
    )
    exact = {i: [] for i in range(20)}
    for entry in evaluator.ground_truth["annotations"]:
        kept = {key: entry[key] for key in ("image_id", "category_id", "bbox", "segmentation")}
        exact[entry["image_id"]].append({**kept, "score": 0.9})
    evaluator.update(exact)
    scores = evaluator.compute()
    assert scores["segm/AP"] == scores["bbox/AP"] == 1.0
    for iou_type in ("bbox", "segm"):
        errors = count_errors(evaluator, iou_type, 0.5)
        assert errors["AP"] == 1.0 and not any(row["count"] for row in errors["kinds"].values())
        assert all(pairing.missed() == [] for _, pairing in pairings(evaluator, iou_type, 0.95))  # an empty funnel
    answers = ask_oracles(evaluator, 0.5)
    assert {row["AP"] for rows in answers.values() for row in rows.values()} == {1.0}
