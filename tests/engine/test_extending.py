"""The examples of docs/extending.md, written as files, trained together and used."""

import csv
import functools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from maskrcnn.commands.evaluate import evaluate
from maskrcnn.config.build import build
from maskrcnn.config.check import resolve_target
from maskrcnn.config.compose import check, compose, portable, to_plain
from maskrcnn.engine.inspect_data import limits
from maskrcnn.engine.train import train
from maskrcnn.engine.tta import Tta
from maskrcnn.modeling.box_head import BoxPrediction
from maskrcnn.run_files import receipt_file
from maskrcnn.structures import RoISamples, Targets

PAGE = Path(__file__).parent.parent.parent / "docs" / "extending.md"
EXAMPLE = re.compile(r"\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)```", re.DOTALL)
SMALL = ["trainer.max_epochs=1", "trainer.log_every_n_steps=1", "callbacks.pictures.count=1"]


def draw_pictures(root: Path) -> None:
    rng = np.random.default_rng(0)
    for part, number in (("train", 6), ("val", 2)):
        for i in range(number):
            picture = rng.integers(0, 60, (64, 96, 3), dtype=np.uint8)
            masks = root / part / "masks" / str(i)
            masks.mkdir(parents=True)
            (root / part / "images").mkdir(exist_ok=True)
            for name, (x, y) in (("disc_0", (20 + 4 * i, 30)), ("box_1", (70 - 4 * i, 34))):
                mask = np.zeros((64, 96), np.uint8)
                if name == "disc_0":
                    cv2.circle(mask, (x, y), 12, 255, -1)
                else:
                    cv2.rectangle(mask, (x - 9, y - 9), (x + 9, y + 9), 255, -1)
                picture[mask > 0] = (240, 200, 90)
                cv2.imwrite(str(masks / f"{name}.png"), mask)
            cv2.imwrite(str(root / part / "images" / f"{i}.png"), picture)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the page's files lie, with a run of its experiment."""
    here = tmp_path_factory.mktemp("extending")
    for name, text in EXAMPLE.findall(PAGE.read_text(encoding="utf-8")):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text, encoding="utf-8")
    draw_pictures(here / "pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.syspath_prepend(here)
        overrides = ["experiment=ours", "run_dir=runs/ours", *SMALL]
        config = compose(overrides, config_dir="conf")
        plain = to_plain(config)
        check(plain, train)
        begin = functools.partial(receipt_file.begin, Path("runs/ours"), plain, overrides, None)
        train(portable(config), begin, **build(plain, plain["plugins"]))
        yield here
        for name in [one for one in sys.modules if one.partition(".")[0] == "mine"]:
            del sys.modules[name]


def part(name: str) -> Any:
    return resolve_target(f"mine.{name}", "the example", ["mine"])


def test_the_experiment_trains_with_the_parts_of_the_page(folder: Path) -> None:
    run = folder / "runs" / "ours"
    with (run / "metrics" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["lr-Lion/pg1"]) for row in rows if row["lr-Lion/pg1"]]
    assert rates == pytest.approx([0.0003, 0.0003 * 0.7, 0.0003 * 0.4])
    edges = [float(row["train/edge"]) for row in rows if row["train/edge"]]
    assert len(edges) == 3 and min(edges) > 0
    assert "0 [" in (run / "lines.txt").read_text() and "segm/AP" in (run / "lines.txt").read_text()
    start = receipt_file.read(run)["starts"][0]
    assert len(start["versions"]["plugin mine"]) == 12 and start["data"]["train"]["number"] == 6
    truth = json.loads((folder / "pictures" / "train.json").read_text())["annotations"]
    assert [truth[0]["bbox"], truth[0]["category_id"]] == [[61, 25, 19, 19], 2]  # box_1 comes before disc_0


def test_its_metric_is_part_of_an_evaluation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {
        "checkpoint": "runs/ours/checkpoints/last.ckpt", "override": [], "results": None, "output": "scored",
        "score_threshold": 0.0, "funnel": False, "funnel_iou": 0.5, "slices": None,
        "tta": Tta(flip=False, scales=[1.0]),
    }  # fmt: skip
    for name, plugins, message in (
        ("mine.metrics.counting", [], r"metrics: 'mine\.metrics\.counting' is a function .* add plugins=\[mine\]"),
        ("mine.metrics.count", ["mine"], r"mine\.metrics has no 'count'\. Did you mean counting"),
        ("fixed_io", ["mine"], r"metrics: there is no 'fixed_io'\. Did you mean fixed_iou"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(**given, metrics=[name], plugins=plugins)
    evaluate(**given, metrics=["mine.metrics.counting"], plugins=["mine"])
    found = json.loads(Path("scored/detections.json").read_text())
    counts = [sum(one["image_id"] == image for one in found) - 2 for image in (1, 2)]
    numbers = json.loads(Path("scored/metrics.json").read_text())
    assert numbers["mine.metrics.counting"] == {"mean_error": sum(map(abs, counts)) / 2}
    assert f"off by {sum(map(abs, counts)) / 2:.2f} objects a picture" in capsys.readouterr().out


def test_the_notebook_trains_looks_inside_and_predicts(folder: Path) -> None:
    made: dict[str, Any] = {}
    exec(compile((folder / "notebook.py").read_text(), "notebook.py", "exec"), made)
    assert torch.isfinite(made["total"]) and type(made["optimizer"]).__name__ == "Lion"
    assert [list(level.shape) for level in made["levels"]] == [[2, 16, 16 >> i, 24 >> i] for i in range(4)]
    assert list(made["pooled"].shape) == [made["detections"].valid.numel(), 16, 7, 7]
    assert made["trained"].classes == ["disc", "box"] and made["drawn"].shape == (64 * 7, 96 * 7, 3)


def test_looking_its_data_through_suggests_no_keys_that_its_anchors_lack(folder: Path) -> None:
    for choice, scaled in (("squares", False), ("shapes", True)):
        config = to_plain(compose(["experiment=ours", f"anchors={choice}"], config_dir="conf"))
        model = build(config["model"], ["mine"])(2, 3)
        assert limits(build(config["data"], ["mine"]), model).scaled is scaled


def test_losses_of_the_page_are_what_they_say(folder: Path) -> None:
    head = part("heads.HardBoxHead").__new__(part("heads.HardBoxHead"))
    torch.nn.Module.__init__(head)
    head.gamma, head.hardest, head.delta_weights = 2.0, 1, (1.0, 1.0, 1.0, 1.0)
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    chosen = logits.softmax(dim=1)[torch.arange(2), labels]
    torch.testing.assert_close(head.class_losses(logits, labels), -((1 - chosen) ** 2) * chosen.log())
    reference, wanted = torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[2.0, 0.0, 6.0, 4.0]])
    # IoU 8 / 24; centres 2 apart; the hull is 6 x 4
    assert head.box_losses(torch.zeros(1, 4), reference, wanted).tolist() == pytest.approx([1 - 1 / 3 + 4 / 52])
    samples = RoISamples(
        boxes=torch.stack((reference, reference), dim=1), labels=labels[None],
        matches=torch.zeros(1, 2, dtype=torch.int64),
        foreground=torch.tensor([[True, False]]), valid=torch.tensor([[True, True]]),
    )  # fmt: skip
    targets = Targets(
        wanted[None], labels[None, :1], torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 2), torch.ones(1, 1) > 0
    )
    classification, box = head.loss(BoxPrediction(logits, torch.zeros(2, 1, 4)), samples, targets)
    assert classification.count == 1 and box.sum == 0  # the second, background, is the hardest
    assert classification.sum.item() == pytest.approx(0.25 * np.log(2))
    rpn = part("heads.FocalRPN").__new__(part("heads.FocalRPN"))
    found = rpn.score_losses(torch.zeros(1, 2), torch.tensor([[True, False]]))
    assert found.tolist() == [pytest.approx([0.25 * np.log(2)] * 2)]
