"""What is said before torch is loaded, beside what is said after."""

import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from maskrcnn.config.check import describe, resolve_target
from maskrcnn.config.compose import check, compose, to_plain
from maskrcnn.config.early import check_early
from maskrcnn.config.groups import CONF
from maskrcnn.config.meaning import annotations
from maskrcnn.engine.train import train

ROOT = "maskrcnn.engine.train.train"
OURS = re.compile(r"_target_: (maskrcnn\.[\w.]+)")
TARGETS = sorted({found for path in CONF.rglob("*.yaml") for found in OURS.findall(path.read_text())})


@pytest.mark.parametrize("target", [*TARGETS, ROOT])
def test_annotations_are_those_of_the_imported_target(target: str) -> None:
    made = train if target == ROOT else resolve_target(target, "", [])
    hints = typing.get_type_hints(getattr(made, "__init__") if isinstance(made, type) else made)
    hints.pop("return", None)
    early = annotations(target)
    assert early.keys() == hints.keys()
    for name, hint in hints.items():
        assert early[name] is typing.Any or describe(early[name]) == describe(hint)
        assert early[name] is not typing.Any or describe(hint) not in ("int", "float", "str", "true or false")


def test_most_annotations_can_be_told() -> None:
    every = [one for target in TARGETS for one in annotations(target).values()]
    assert sum(one is not typing.Any for one in every) > 0.95 * len(every) > 100


@pytest.mark.parametrize(
    "slip",
    [
        "optimizer.lr=abc", "seed=null", "model.backbone.norm=batchnorm", "model.backbone=resnet50", "data.canvases=3",
        "data.canvases=[[1]]", "data.resize.shortest=240", "data.fraction='0,5'", "loss_weights.mask=2x",
        "data.source=shapes",
    ],
)  # fmt: skip
def test_early_answers_are_the_late_ones(slip: str) -> None:
    plain = to_plain(compose([slip]))
    with pytest.raises(ValueError) as early:
        check_early(plain, ROOT)
    with pytest.raises(ValueError) as late:
        check(plain, train)
    assert str(early.value) == str(late.value)


@pytest.mark.parametrize("experiment", [[], ["experiment=nuclei", "data.root=x"], ["callbacks=ema", "trainer=gpu"]])
def test_what_is_right_is_not_refused(experiment: list[str]) -> None:
    check_early(to_plain(compose(experiment)), ROOT)


@pytest.mark.parametrize("override", ["optimizer.lr=abc", "model.rpn.nms_threshold=7"])
def test_a_wrong_value_is_answered_without_torch(override: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom maskrcnn.cli import train\n"
        "try: train()\nexcept SystemExit as end: print(end, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, override],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(CONF.parent)},
    )
    assert done.stdout.startswith("error: ") and done.stdout.endswith(" False\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["cli.run", "start.recall"])
def test_ctrl_c_before_there_is_anything_to_keep_leaves_nothing(place: str, tmp_path: Path) -> None:
    code = f"from maskrcnn import cli, start\ndef stop(given): raise KeyboardInterrupt\n{place} = stop\ncli.train()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(CONF.parent)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")
    assert list(tmp_path.iterdir()) == []
