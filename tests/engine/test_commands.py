"""The three commands as a user runs them."""

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import maskrcnn
from maskrcnn.config.groups import CONF
from maskrcnn.run_files import checkpoint

Command = Callable[..., subprocess.CompletedProcess[str]]


def last_scores(run: Path) -> dict[str, float]:
    with (run / "metrics" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["segm/AP"]]
    return {key: float(value) for key, value in rows[-1].items() if key.startswith(("segm/", "bbox/")) and value}


def scores_in(metrics: dict[str, Any], names: Iterable[str]) -> dict[str, float]:
    """Of metrics.json, where null stands for what is not defined."""
    return {name: math.nan if metrics[name] is None else metrics[name] for name in names}


def equal_bits(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_leaves_checkpoints_metrics_pictures_and_a_receipt(run: Path) -> None:
    output = (run / "output.txt").read_text()
    assert not list(run.glob("*.log"))
    assert "epoch 2: box AP" in output and "step 4/8" in output and f"wrote {run}/checkpoints/best.ckpt" in output
    assert "images; learning rate 0.003; writing to" in output
    assert {"bbox/AP", "segm/AP", "segm/AP50", "segm/AR30", "bbox/ARl"} - last_scores(run).keys() <= {"bbox/ARl"}
    assert sorted(path.name for path in (run / "pictures").iterdir()) == ["step_000004.png", "step_000008.png"]
    picture = cv2.imread(str(run / "pictures" / "step_000008.png"))
    assert picture is not None and picture.std() > 10
    receipt = json.loads((run / "receipt.json").read_text())
    assert receipt["end"]["scores"]["segm/AP"] == pytest.approx(last_scores(run)["segm/AP"], rel=1e-6)
    assert "nms_threshold: 0.7" in (run / "config.yaml").read_text()
    report = (run / "report.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", report) == [
        "Receipt", "Training", "Scores", "Precision and recall", "Confusion", "Calibration", "Errors", "Pictures",
    ]  # fmt: skip
    assert f"<b>{receipt['end']['scores']['segm/AP']:.3f}</b>" in report and receipt["end"]["weights"][:12] in report
    assert f"wrote {run}/report.html" in output and len(report) < 5e6


def test_the_same_command_gives_the_same_bits(run: Path, command: Command, tmp_path: Path) -> None:
    done = command("train.py", "trainer.max_epochs=2", "data.workers=2", f"run_dir={tmp_path}/again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    states = [checkpoint.read(path / "checkpoints" / "last.ckpt")["state_dict"] for path in (run, tmp_path / "again")]
    assert equal_bits(*states)
    assert last_scores(run) == pytest.approx(last_scores(tmp_path / "again"), rel=0, abs=0, nan_ok=True)


def test_evaluate_gives_exactly_what_training_logged(run: Path, command: Command, tmp_path: Path) -> None:
    path = run / "checkpoints" / "last.ckpt"
    more = ["metrics=[fixed_iou]", "slices={small: 'area <= 1024', all: 'height == 192', busy: 'n_objects > 99'}"]
    done = command("evaluate.py", f"checkpoint={path}", f"output={tmp_path}/out", *more, cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    logged = last_scores(run)
    assert "slices.busy: nothing has n_objects > 99\n" in done.stdout and "slices.small: nothing" not in done.stdout
    slices, counted = metrics["slices"], metrics["fixed_iou"]["all"]
    assert slices["small"]["segm/AP"] == pytest.approx(metrics["segm/APs"], rel=1e-6, nan_ok=True)
    assert slices["all"]["bbox/AP"] == pytest.approx(metrics["bbox/AP"], rel=1e-6)
    assert (slices["all"]["pictures"], slices["busy"]["pictures"]) == (6, 0)
    assert counted["TP"]["0.50"] + counted["FN"]["0.50"] == slices["all"]["objects"] > 0
    curves = json.loads((tmp_path / "out" / "curves.json").read_text())
    best = {name: found and found["score"] for name, found in curves["segm"]["best"].items()}
    kept = json.loads(path.with_name("last.thresholds.json").read_text())
    assert kept["thresholds"] == best and kept["pictures"] == 6
    assert scores_in(metrics, logged) == pytest.approx(logged, rel=1e-6, abs=0, nan_ok=True)
    detections = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert set(detections[0]) == {"image_id", "category_id", "bbox", "score", "segmentation"}
    assert "average precision" in done.stdout and "triangle" in done.stdout
    report = (tmp_path / "out" / "report.html").read_text()
    assert f"<h1>Evaluation of last.ckpt</h1><p>mask AP <b>{logged['segm/AP']:.3f}</b>" in report
    assert f"checkpoint {path}<br>6 pictures of " in report and "<h2>Receipt</h2>" in report


@pytest.mark.slow
def test_results_from_a_file_score_the_same(run: Path, command: Command, tmp_path: Path) -> None:
    path = run / "checkpoints" / "last.ckpt"
    kept = path.with_name("last.thresholds.json")
    kept.unlink(missing_ok=True)
    low = 'override=["trainer.limit_val_batches=1.0"]'
    for more in ([low, "output=found"], ["results=found/detections.json", "output=scored"]):
        done = command("evaluate.py", f"checkpoint={path}", *more, cwd=tmp_path, tiny=False)
        assert done.returncode == 0, done.stderr
    found, scored = (json.loads((tmp_path / folder / "metrics.json").read_text()) for folder in ("found", "scored"))
    names = [name for name in found if "/" in name]
    assert scores_in(found, names) == pytest.approx(scores_in(scored, names), rel=1e-6, nan_ok=True)
    assert scored["results"] == "found/detections.json" and found["bbox/AR30"] > 0
    # an override, or results from elsewhere, leave no scores beside the checkpoint
    assert (tmp_path / "found" / "thresholds.json").is_file() and not kept.exists()
    refused = command("evaluate.py", f"checkpoint={path}", "results=none.json", "funnel=true", cwd=tmp_path, tiny=False)
    assert refused.stderr.startswith("error: funnel=true asks the network")


def test_a_model_that_finds_nothing_scores_0_and_predicts_nothing(run: Path, command: Command, tmp_path: Path) -> None:
    path, blind = run / "checkpoints" / "last.ckpt", 'override=["model.box_head.score_threshold=1.0"]'
    done = command("evaluate.py", f"checkpoint={path}", blind, f"output={tmp_path}/out", cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["segm/AP"] == metrics["bbox/AP"] == 0
    assert json.loads((tmp_path / "out" / "detections.json").read_text()) == []
    picture = np.full((192, 256, 3), 128, np.uint8)
    found = maskrcnn.load(path).predict(picture, score_threshold=1.0)
    assert len(found.scores) == 0 and found.masks.shape == (0, 192, 256)


def test_a_cap_below_the_objects_of_a_picture_is_announced(run: Path, command: Command, tmp_path: Path) -> None:
    low = 'override=["model.box_head.max_detections=2"]'
    path = run / "checkpoints" / "last.ckpt"
    done = command("evaluate.py", f"checkpoint={path}", low, "output=out", cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    assert "more than the 2 detections that are kept: raise model.box_head.max_detections" in done.stderr


def test_predict_writes_pictures_and_results_and_skips_what_is_broken(
    run: Path, command: Command, shapes_root: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = sorted((shapes_root / "val").glob("*.png"))[0]
    (folder / "good.png").write_bytes(picture.read_bytes())
    cv2.imwrite(str(folder / "other.jpg"), cv2.imread(str(picture)))
    (folder / "other.png").write_bytes(picture.read_bytes())
    (folder / "broken.jpg").write_bytes(b"no picture")
    path = run / "checkpoints" / "last.ckpt"
    done = command(
        "predict.py", f"checkpoint={path}", f"source={folder}", "score_threshold=0.0", cwd=tmp_path, tiny=False
    )
    assert done.returncode == 0, done.stderr
    assert f"skipped: {folder}/broken.jpg is not a picture" in done.stdout and "instances in 3 pictures" in done.stdout
    assert done.stdout.rstrip().endswith("; skipped 1: broken.jpg")
    written = {path.name for path in (tmp_path / "predictions" / "pictures").iterdir()}
    assert written == {"good.png", "other.jpg.png", "other.png.png"}
    drawn = cv2.imread(str(tmp_path / "predictions" / "pictures" / "good.png"))
    assert drawn.shape[0] % 192 == 0
    every = json.loads((tmp_path / "predictions" / "detections.json").read_text())
    assert {result["image_id"] for result in every} == {"good.png", "other.jpg", "other.png"}
    results = [result for result in every if result["image_id"] == "good.png"]
    predicted = maskrcnn.load(path).predict(picture, score_threshold=0.0)
    assert len(results) == len(predicted.scores) > 0
    np.testing.assert_allclose([r["score"] for r in results], predicted.scores, rtol=1e-6)
    assert predicted.masks.shape == (len(results), 192, 256) and predicted.names[0] in (
        "circle",
        "square",
        "triangle",
        "star",
    )


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (
            "train.py",
            ["model.rpn.nms_tresh=0.5"],
            "unknown key 'model.rpn.nms_tresh'. Did you mean model.rpn.nms_threshold?",
        ),
        ("train.py", ["weights=nowhere.pth"], "weights=nowhere.pth: there is no such file, nor a known name"),
        (
            "train.py",
            ["data.channels=5"],
            "model.pixel_mean has 3 values, but data.channels is 5: give model.pixel_mean",
        ),
        ("train.py", ["data=nuclei", "data.root=nowhere"], "nowhere/train"),
        ("evaluate.py", [], "checkpoint"),
        ("evaluate.py", ["checkpoint=nowhere.ckpt"], "there is no checkpoint nowhere.ckpt"),
        ("train.py", ["--seed=1"], "keys are given as key=value, without dashes. Did you mean seed=1?"),
        ("predict.py", ["checkpoint=nowhere.ckpt", "source=none"], "source=none: no such file"),
    ],
)
def test_mistakes_end_in_one_sentence(
    script: str, arguments: list[str], message: str, command: Command, tmp_path: Path
) -> None:
    done = command(script, *arguments, cwd=tmp_path, tiny=script == "train.py" and "data=nuclei" not in arguments)
    assert done.returncode != 0 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_weights_of_another_architecture_are_told_by_their_configuration(
    run: Path, command: Command, tmp_path: Path
) -> None:
    weights = f"weights={run}/checkpoints/best.ckpt"
    other = ["backbone=resnet18", "neck=fpn", "model.backbone.norm=frozen", "model.mask_head.channels=[8,8]"]
    done = command("train.py", weights, *other, "model.box_head.max_detections=20", cwd=tmp_path)
    assert done.returncode == 1
    assert (
        f"error: {weights} is of another architecture: model.backbone.stem=conv3x2 there, conv7 here; "
        "model.backbone.layers=[0, 2, 1, 1] there, [2, 2, 2, 2] here; model.backbone.norm=batch there, frozen here; "
        "model.neck.norm=batch there, null here; model.neck.extra_level=false there, true here; and 2 more. "
        "Use the configuration that it was trained with"
    ) in done.stderr


def test_a_mistake_found_by_a_worker_ends_in_one_sentence(command: Command, tmp_path: Path, shapes_root: Path) -> None:
    root = tmp_path / "cut"
    shutil.copytree(shapes_root, root)
    for picture in (root / "train").glob("*.png"):
        picture.write_bytes(picture.read_bytes()[:1000])  # the header stays, and is all that is looked at before a run
    done = command("train.py", "debug=fast", f"data.root={root}", "data.workers=1", cwd=tmp_path)
    assert done.returncode != 0 and ".png is not a picture, or broken (1000 bytes): replace it" in done.stderr
    assert "; inspect_data.py depth=pixels finds all such pictures at once\n" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_help_names_groups_and_where_meanings_stand(command: Command, tmp_path: Path) -> None:
    done = command("train.py", "--help", cwd=tmp_path, tiny=False)
    assert "box_head: conv_fc, fc, small\n" in done.stdout
    assert "backbone: convnext_base" in done.stdout and "docstring of the class" in done.stdout
    assert "\nfrom: " not in done.stdout and "\nto: " not in done.stdout  # those of convert_data.py


@pytest.mark.parametrize("script", ["predict", "evaluate", "export", "drop", "search", "inspect_data"])
def test_help_tells_what_keys_mean(script: str, command: Command, tmp_path: Path) -> None:
    text = (CONF / f"{script.removesuffix('_data')}.yaml").read_text()
    own = text.split("\n\n", 1)[1].split("\n\nhydra:")[0]
    assert own.count(" # ") > 3
    assert f"\n{own}\n" in command(f"{script}.py", "--help", cwd=tmp_path, tiny=False).stdout


def test_a_reader_who_has_seen_enough_ends_a_command_without_a_word(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    script = Path(__file__).parent.parent.parent / "train.py"
    done = subprocess.run(
        [sys.executable, script, "--help"], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.slow
def test_a_selection_is_kept_in_the_checkpoint(command: Command, tmp_path: Path) -> None:
    done = command(
        "train.py", "trainer.max_epochs=1", "data.class_map={round:[circle],edged:[square,star]}", "data.fold=1",
        "data.folds=4", "data.repeat_threshold=0.9", f"run_dir={tmp_path}/run", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "12 training and 4 validation pictures, 2 classes" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("selected: "))
    assert "selected: fold 1 of 4 of train.json: 12 pictures to learn, 4 to validate" in line
    assert (
        "val.json is not used; classes round, edged (" in line and "of 1 others left out; in training triangle" in line
    )
    assert "repeat factors 1.00 to 1." in line
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    content = checkpoint.read(best)["maskrcnn"]
    assert (content["classes"], content["category_ids"]) == (["round", "edged"], [1, 2])
    done = command("evaluate.py", f"checkpoint={best}", tiny=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "run" / "evaluation" / "metrics.json").read_text())
    assert set(scores["per_class"]) == {"round", "edged"}
    before = last_scores(tmp_path / "run")
    assert scores_in(scores, before) == pytest.approx(before, rel=0, abs=0, nan_ok=True)
    found = json.loads((tmp_path / "run" / "evaluation" / "detections.json").read_text())
    assert {one["category_id"] for one in found} == {1, 2}
    assert len({one["image_id"] for one in found}) == 4
    refused = command("evaluate.py", f"checkpoint={best}", 'override=["data.class_map=null"]', tiny=False, cwd=tmp_path)
    assert refused.returncode == 1
    assert "knows the classes round, edged, but the data has circle, square, triangle, star" in refused.stderr
    other = 'override=["data.source.val_seed=7"]'
    refused = command("evaluate.py", f"checkpoint={best}", other, tiny=False, cwd=tmp_path)
    assert "validated on a fold of its training file" in refused.stderr and "add data.folds=null" in refused.stderr


def test_resume_alone_goes_on_with_the_configuration_of_the_run(run: Path, command: Command, tmp_path: Path) -> None:
    done = command("train.py", f"resume={run}", tiny=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("as the run was started: ") and "model.backbone.width=8" in first
    assert second == f"the run in {run} is finished: nothing to do. trainer.max_epochs=<more> goes on with it."


def test_what_other_keys_refer_to_is_told_in_one_sentence(command: Command, tmp_path: Path) -> None:
    done = command("train.py", "~data", tiny=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: ~data: other keys need what it takes away; give data another value instead\n"
    assert not list(tmp_path.glob("runs/*"))
