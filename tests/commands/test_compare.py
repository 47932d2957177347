"""Two runs side by side."""

import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console

from maskrcnn.commands.compare import check_same, compare, configuration, rows_of, surroundings, verdict
from maskrcnn.commands.evaluate import evaluate
from maskrcnn.commands.trained_run import TrainedRun
from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.evaluation.bootstrap import Difference
from maskrcnn.evaluation.results import Result
from maskrcnn.run_files import checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def first(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run, which is evaluated."""
    folder = tmp_path_factory.mktemp("compared") / "first"
    shutil.copytree(run, folder)
    return folder


@pytest.fixture
def other(run: Path, tmp_path: Path) -> Path:
    """The same run as if it had learnt at another rate, elsewhere."""
    folder = tmp_path / "other"
    shutil.copytree(run, folder)
    receipt = json.loads((folder / "receipt.json").read_text())
    receipt["starts"][-1]["overrides"].append("optimizer.lr=0.5")
    receipt["starts"][-1]["hardware"]["threads"] = 64
    receipt["starts"][-1]["versions"]["torch"] = "1.0"
    receipt["starts"][-1]["data"]["train"]["pictures"] = 64 * "f"
    (folder / "receipt.json").write_text(json.dumps(receipt))
    change(folder, "optimizer", "lr", 0.5)
    return folder


def change(folder: Path, part: str, key: str, value: object) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config[part][key] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def detections(folder: Path) -> dict[int, list[Result]]:
    run = TrainedRun(folder)
    run.open([])
    run.detect(Console(quiet=True), [])
    return run.evaluator.predictions


def words(row: str) -> list[str]:
    """The cells of a table's row."""
    return [cell.strip() for cell in row.strip().split("┃")]


def test_what_differs(run: Path, other: Path) -> None:
    a, b = TrainedRun(run), TrainedRun(other)
    assert configuration(a, b, None) == [
        "configuration: what a needs on its command line to be b",
        "  optimizer.lr=0.5",
    ]
    assert configuration(a, a, None) == ["configuration: the same"]
    start = json.loads((run / "receipt.json").read_text())["starts"][0]
    threads, torch, pictures = (
        start["hardware"]["threads"],
        start["versions"]["torch"],
        start["data"]["train"]["pictures"],
    )
    assert surroundings(a, b) == [
        "code, versions, hardware and data: a -> b",
        f"  versions.torch: {torch} -> 1.0",
        f"  hardware.threads: {threads} -> 64",
        f"  data.train.pictures: {pictures[:12]} -> ffffffffffff",
    ]
    assert surroundings(a, a) == ["code, versions, hardware and data: the same"]


def test_a_run_without_receipt_is_compared_as_far_as_it_goes(run: Path, other: Path) -> None:
    (other / "receipt.json").unlink()
    shutil.rmtree(other / ".hydra", ignore_errors=True)
    a, b = TrainedRun(run), TrainedRun(other)
    assert surroundings(a, b) == [f"code, versions, hardware and data: unknown, as there is no receipt.json in {other}"]
    assert configuration(a, b, None) == [
        "configuration: nothing that is added to a's command line leads to b, as conf/ changed since, or they were "
        "started with a --config-dir, to be given here too; the keys that differ are",
        "  optimizer.lr: 0.003 -> 0.5",
    ]


def test_what_the_other_side_has_no_key_for_is_to_be_left_out(run: Path, tmp_path: Path) -> None:
    sides = []
    for name, override in {"a": "optimizer.algorithm.betas=[0.8,0.9]", "b": "optimizer=sgd"}.items():
        folder = shutil.copytree(run, tmp_path / name)
        receipt = json.loads((run / "receipt.json").read_text())
        receipt["starts"][-1]["overrides"].append(override)
        (folder / "receipt.json").write_text(json.dumps(receipt))
        config = to_plain(compose(receipt["starts"][-1]["overrides"]))
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        sides.append(TrainedRun(folder))
    assert configuration(*sides, None) == [
        "configuration: what a needs on its command line to be b",
        "  optimizer=sgd",
        "what it has to leave out, as b's choices lack the key",
        "  'optimizer.algorithm.betas=[0.8,0.9]'",
    ]


def test_names_by_default_stand_in_one_line_of_80_columns(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pair = [tmp_path / name for name in ("2026-01-02_03-04-05", "2026-01-02_03-04-06")]
    for folder in pair:
        shutil.copytree(run, folder)
        receipt = json.loads((folder / "receipt.json").read_text())
        receipt["end"]["seconds"] = 312.0
        (folder / "receipt.json").write_text(json.dumps(receipt))
    change(pair[1], "data", "class_map", {"round": ["circle"]})
    with pytest.raises(ValueError, match="the classes of"):  # after the table
        compare([pair[0]], [pair[1]], [])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("│ a", "│ b"))]
    assert [(row.split()[3], row.split()[-3:-1], len(row)) for row in rows] == [
        (folder.name, ["5.2", "min"], 77) for folder in pair
    ]


def test_a_third_run_is_answered_with_sides(
    run: Path, command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = command("compare.py", str(run), str(run), f"{run}/", cwd=tmp_path, tiny=False)
    assert done.returncode == 1 and done.stderr == (
        f"error: {run}/: two sides are compared; join the runs of a side by a comma, such as runs/a0,runs/a1 runs/b\n"
    )


def test_own_choices_are_known_by_their_folder(run: Path, other: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "ours.yaml").write_text("# @package _global_\noptimizer:\n  lr: 0.5\n  weight_decay: 0.25\n")
    change(other, "optimizer", "weight_decay", 0.25)
    receipt = json.loads((other / "receipt.json").read_text())
    receipt["starts"][-1]["overrides"][-1] = "experiment=ours"
    (other / "receipt.json").write_text(json.dumps(receipt))
    a, b = TrainedRun(run), TrainedRun(other)
    assert configuration(a, b, str(tmp_path / "mine"))[1:] == ["  experiment=ours"]
    assert "started with a --config-dir, to be given here too" in configuration(a, b, None)[0]


def test_aliases_of_yaml_are_refused(other: Path) -> None:
    """A few lines with them, of lists or of merged mappings, are more than a memory holds."""
    path = other / "config.yaml"
    lines = [f"a{i + 1}: &a{i + 1} {{<<: [*a{i}, *a{i}], k{i}: 1}}" for i in range(40)]
    path.write_text("\n".join([path.read_text(), "a0: &a0 {x: 1}", *lines]))
    with pytest.raises(ValueError, match=r"config\.yaml was not written by training, for it has aliases of YAML"):
        TrainedRun(other)


def test_overrides_that_are_no_list_are_refused(run: Path, other: Path) -> None:
    (other / "receipt.json").unlink()
    path = other / ".hydra" / "overrides.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("- [1]")
    with pytest.raises(ValueError, match=r"overrides\.yaml is no list of overrides: copy it again, or delete it"):
        configuration(TrainedRun(run), TrainedRun(other), None)


def test_results_and_luck(first: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare([first], [other], [])
    output = capsys.readouterr().out
    sample = (ROOT / "docs" / "configuration.md").read_text().replace("│", "┃")
    heads = [words(line) for line in output.splitlines() if line.startswith("┃")]
    assert len(heads) == 4 and all(head in map(words, sample.splitlines()) for head in heads), heads
    assert f"{other} has no detections of its best checkpoint: evaluating {other}/checkpoints/best.ckpt" in output
    assert "box AP: no difference" in output and "mask AP: no difference" in output
    assert output.count("average precision") == 1 and "wrote" not in output  # no tables but its own
    evaluated = (other / "evaluation" / "metrics.json").read_text()
    compare([first, other], [other], [])
    output = capsys.readouterr().out
    assert "evaluating" not in output and (other / "evaluation" / "metrics.json").read_text() == evaluated
    score = json.loads(evaluated)["bbox/AP"]
    row = next(line for line in output.splitlines() if "box AP " in line)
    assert row.split("│")[2].strip() == f"{score:.3f}" == row.split("│")[3].strip()


def test_detections_of_several_views_are_kept_and_not_compared(first: Path, other: Path, tmp_path: Path) -> None:
    run = shutil.copytree(other, tmp_path / "run")
    shutil.rmtree(run / "evaluation", ignore_errors=True)
    plain = detections(run)
    shutil.rmtree(run / "evaluation")
    options = {**to_plain(compose([], "evaluate")), "checkpoint": str(run / "checkpoints" / "best.ckpt")}
    options["tta"] = {**options["tta"], "flip": True}
    evaluate(**build(options, []))
    file = run / "evaluation" / "detections.json"
    several = file.read_bytes()
    assert json.loads((run / "evaluation" / "metrics.json").read_text())["tta"] == {"flip": True, "scales": [1.0]}
    assert detections(run) == plain
    assert file.read_bytes() == several
    assert (run / "evaluation_to_compare" / "detections.json").read_bytes() != several


def test_an_evaluation_that_was_cut_off_is_made_anew(first: Path, tmp_path: Path) -> None:
    run = shutil.copytree(first, tmp_path / "run")
    plain = detections(run)
    (run / "evaluation" / "metrics.json").unlink()
    (run / "evaluation" / "detections.json").write_text("[]")
    assert detections(run) == plain and plain
    assert sorted(path.name for path in run.glob("evaluation*")) == ["evaluation"]


def test_a_run_of_several_devices_is_evaluated_on_one(
    first: Path, tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Each rank would compare, and the second miss what the first has yet to write."""
    plain = detections(first)
    run = shutil.copytree(first, tmp_path / "run")
    shutil.rmtree(run / "evaluation")
    best = run / "checkpoints" / "best.ckpt"
    content = checkpoint.read(best)
    content["maskrcnn"]["config"]["trainer"] |= {"strategy": "ddp", "devices": 2}
    torch.save(content, best)
    done = command("compare.py", str(first), str(run), cwd=tmp_path, tiny=False)
    assert done.returncode == 0 and done.stdout.count("configuration: the same") == 1, done.stdout + done.stderr
    assert "box AP: no difference" in done.stdout and detections(run) == plain
    assert json.loads((run / "evaluation" / "metrics.json").read_text())["override"] == ["trainer.devices=1"]


def test_detections_of_a_share_of_the_pictures_are_not_compared(first: Path, tmp_path: Path) -> None:
    """As of a run with debug=fast, whose configuration limits an evaluation too."""
    plain = detections(first)
    run = shutil.copytree(first, tmp_path / "run")
    change(run, "trainer", "limit_val_batches", 1)
    content = checkpoint.read(run / "checkpoints" / "best.ckpt")
    content["maskrcnn"]["config"]["trainer"]["limit_val_batches"] = 1
    torch.save(content, run / "checkpoints" / "best.ckpt")
    os.utime(run / "checkpoints" / "best.ckpt", (0, 0))
    assert detections(run) == plain
    metrics = json.loads((run / "evaluation_to_compare" / "metrics.json").read_text())
    assert metrics["override"] == ["trainer.limit_val_batches=1.0"]


def test_detections_of_other_pictures_are_refused(first: Path, other: Path) -> None:
    compare([first], [other], [])
    file = other / "evaluation" / "metrics.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "bbox/AP": 0.99}))
    with pytest.raises(ValueError, match=r"detections\.json gives bbox/AP .* says 0\.9900: it was made on other pictu"):
        detections(other)
    file = other / "evaluation" / "detections.json"
    entries = json.loads(file.read_text())
    file.write_text(json.dumps([{**entries[0], "image_id": -1}, *entries[1:]]))
    with pytest.raises(ValueError, match=r"detections\.json: detection 0 .* has the image_id -1, .*: delete the file"):
        detections(other)


def test_numbers_of_an_evaluation_that_are_broken_are_told(first: Path, tmp_path: Path) -> None:
    run = shutil.copytree(first, tmp_path / "run")
    detections(run)
    (run / "evaluation" / "metrics.json").write_text('{"checkpoint": "best.ckpt", "override": 3}')
    message = (
        r"metrics\.json is broken \(Expected `array`, got `int` - at `\$\.override`\): delete it, and it is made anew"
    )
    with pytest.raises(ValueError, match=message):
        detections(run)


def test_other_pictures_are_refused_before_any_is_evaluated(first: Path, other: Path, tmp_path: Path) -> None:
    source = yaml.safe_load((other / "config.yaml").read_text())["data"]["source"]
    change(other, "data", "source", {**source, "val_seed": 3})
    change(other, "data", "root", str(tmp_path / "shapes"))
    with pytest.raises(ValueError, match=r"the validation pictures of .* differ: .* data\.fold and data\.fold_seed"):
        compare([first], [other], [])
    assert not (other / "evaluation").exists()


def test_other_classes_are_refused_before_any_is_evaluated(first: Path, other: Path) -> None:
    change(other, "data", "class_map", {"round": ["circle"]})
    with pytest.raises(ValueError, match=r"the classes of .*first and .*other differ .*; round\): AP.*data\.class_map"):
        compare([first], [other], [])
    assert not (other / "evaluation").exists()


def test_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no .*config\.yaml; name the folder of a run"):
        TrainedRun(tmp_path)


def test_verdicts() -> None:
    better = Difference(0.1, 0.3, 0.05, 0.4)
    assert verdict("box AP", better, False) == (
        "box AP: b is better by 0.200 (95 %: +0.050 to +0.400), which is more than the luck of the validation pictures"
    )
    assert verdict("box AP", Difference(0.3, 0.1, -0.4, 0.1), True) == (
        "box AP: b is worse by 0.200 (95 %: -0.400 to +0.100), which may be the luck of the validation pictures and of "
        "the seeds too"
    )
    assert verdict("box AP", Difference(0.1, 0.1004, 0.0001, 0.001), False) == "box AP: no difference"
    assert verdict("AP", better._replace(a=float("nan")), False) == "AP: no object defines it"


def test_of_many_classes_the_greatest_differences_are_printed() -> None:
    classes = [f"c{i}" for i in range(1203)]
    ends = ["AP", "AP50", "AP75", *(f"AP {name}" for name in classes)]
    found = {f"{kind} {end}": Difference(0.5, 0.5, -0.1, 0.1) for kind in ("box", "mask") for end in ends}
    found["box AP c7"] = Difference(math.nan, math.nan, math.nan, math.nan)
    changed = {f"mask AP c{i}": Difference(0.5, 0.5 + 0.01 * (-1) ** i, 0.0, 0.0) for i in range(100, 140)}
    rows = rows_of(found | changed, classes)
    assert rows == [*(f"box {end}" for end in ends[:3]), *(f"mask {end}" for end in ends[:3]), *changed]
    assert rows_of(found, classes[:40]) == list(found)


def test_a_run_without_a_best_checkpoint_says_what_can_be_compared(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(ValueError, match=r"best\.ckpt: train it .* by python evaluate\.py checkpoint=.*last"):
        detections(copy)
    options = {**to_plain(compose([], "evaluate")), "checkpoint": str(copy / "checkpoints" / "last.ckpt")}
    evaluate(Console(quiet=True), **build(options, []))
    assert detections(copy)


def test_pictures_without_annotations_have_nothing_to_compare(first: Path, tmp_path: Path) -> None:
    run = TrainedRun(first)
    run.open([])
    run.evaluator.ground_truth["annotations"] = []
    with pytest.raises(ValueError, match=r"val\.json, the validation pictures of .*, has no annotations, so"):
        check_same([run, run])
