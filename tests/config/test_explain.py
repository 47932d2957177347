"""What explain=KEY says of keys, nodes and groups, and that it is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.explain import explain
from maskrcnn.config.groups import CONF
from maskrcnn.config.meaning import argument, meaning, read_target
from maskrcnn.config.nested import keys
from maskrcnn.config.provenance import Provenance, split
from maskrcnn.config.written import written


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONF.parent)


def line(file: str, start: str) -> int:
    """The number of the one line of a file that starts so."""
    lines = Path(file).read_text().split("\n")
    (found,) = [i for i, text in enumerate(lines, 1) if text.lstrip().startswith(start)]
    return found


def test_a_key_is_explained_with_all_that_set_it() -> None:
    assert explain("optimizer.lr", ["optimizer=sgd", "optimizer.lr=0.01"]).split("\n") == [
        "optimizer.lr = 0.01",
        "  set by    optimizer.lr=0.01 on the command line",
        f"  replaced  0.02  conf/optimizer/sgd.yaml:{line('conf/optimizer/sgd.yaml', 'lr:')}  "
        "(optimizer=sgd on the command line)",
        "  type      float",
        "  meaning   peak learning rate for 16 images a step.",
        "  read by   maskrcnn.engine.optimizer.Optimizer, maskrcnn/engine/optimizer.py:"
        f"{line('maskrcnn/engine/optimizer.py', 'lr: float')}",
    ]


def test_an_interpolation_is_followed_to_the_key_and_back() -> None:
    text = explain("callbacks.mean_ap.max_detections", [])
    assert "  set by    ${model.box_head.max_detections}  conf/callbacks/default.yaml:" in text
    assert "\n    model.box_head.max_detections = 30\n      set by    30  conf/box_head/small.yaml:" in text
    assert "      replaced  100  conf/box_head/fc.yaml:" in text and "small.yaml starts from)" in text
    back = explain("model.box_head.max_detections", [])
    assert "  taken by  callbacks.mean_ap.max_detections" in back


def test_an_experiment_is_named_where_it_chose_and_where_it_set() -> None:
    text = explain("model.backbone.norm", ["experiment=coco_r50_fpn_1x"])
    assert "model.backbone.norm = frozen\n  set by    frozen  conf/experiment/coco_r50_fpn_1x.yaml:" in text
    assert "(backbone=resnet50 in" in text and "  type      one of frozen, batch, group\n" in text
    assert "  comment   frozen with pretrained weights, see experiment/\n" in text


@pytest.mark.parametrize(
    ("key", "overrides", "said"),
    [
        ("run_dir", [], "resume = null\n      set by    null  conf/train.yaml:"),
        ("data.canvases", [], "heights and widths to choose from, multiples of 32"),  # of Collate's docstring
        ("weights", [], "  type      str or null\n"),
        ("model.neck.channels", ["model.neck={channels: 7}"], "set by    model.neck={channels: 7} on the command line"),
        ("data.transforms[0].p", [], "replaced  []  conf/augmentation/none.yaml:"),
        ("optimizer.algorithm.betas", [], "coefficients used for computing running averages of gradient"),
        ("trainer.max_epochs", ["trainer=gpu", "debug=fast"], "replaced  3  conf/trainer/cpu.yaml:"),
        ("model.rpn._partial_", [], "what is missing is given later"),
        ("model.backbone", [], "  backbone=tiny by default, conf/train.yaml\n"),
        ("optimizer", [], "  lr            0.003  conf/optimizer/adamw.yaml:"),
        ("optimizer", [], "optimizer: a group, optimizer=NAME on the command line; its values lie at optimizer\n"),
        ("backbone", [], "  resnet50          ResNet-50 (arXiv 1512.03385), the paper's smaller one.\n"),
        ("augmentation", ["experiment=coco_r50_fpn_1x"], "multiscale   (in conf/experiment/coco_r50_fpn_1x.yaml) The"),
    ],
)
def test_what_is_said(key: str, overrides: list[str], said: str) -> None:
    assert said in explain(key, overrides)


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("optmizer.lr", "unknown key 'optmizer.lr'. Did you mean optimizer.lr?"),
        ("lr", "unknown key 'lr'. Did you mean optimizer.lr?"),
        ("data.resiz", "unknown key 'data.resiz'. Did you mean data.resize?"),
        ("foo", "unknown key 'foo'. See --help for all keys"),
    ],
)
def test_an_unknown_key_is_answered_with_what_was_meant(key: str, answer: str) -> None:
    with pytest.raises(ValueError) as raised:
        explain(key, [])
    assert str(raised.value) == answer


def test_a_part_of_ones_own_needs_its_package_here_too() -> None:
    with pytest.raises(ValueError, match=r"^model\.neck\._target_ is 'mine\.Neck', which is not among the packages"):
        explain("model.neck.channels", ["model.neck._target_=mine.Neck"])


def test_the_last_setting_of_every_key_is_its_value() -> None:
    """For each key of two whole configurations: the file and line that are named hold what was composed."""
    for overrides in (["experiment=coco_r50_fpn_1x", "trainer=gpu", "augmentation=copy_paste"], ["debug=overfit"]):
        made = Provenance(overrides)
        found = 0
        for key in keys(made.raw):
            value = made.raw
            for name in split(key):
                value = value[name]
            if isinstance(value, dict):
                continue
            last = made.settings(key)[-1]
            assert yaml.safe_load(last.value) == yaml.safe_load(yaml.safe_dump(value)), key
            path, _, number = last.where.rpartition(":")
            assert f"{key.rpartition('.')[2]}:" in Path(path).read_text().split("\n")[int(number) - 1], key
            found += 1
        assert found > 100


def test_every_key_of_ours_has_a_type_and_a_meaning() -> None:
    """What a docstring does not say, explain could not."""
    files = "\n".join(path.read_text() for path in CONF.rglob("*.yaml"))
    names = {"maskrcnn.engine.train.train", *re.findall(r"_target_: (maskrcnn[\w.]+)", files)}
    assert len(names) > 40
    for name in names:
        target = read_target(name, "k", [])
        for parameter, found in target.parameters.items():
            assert found.type != "not stated", (name, parameter)
            assert meaning(target, parameter), (name, parameter)


def test_docstrings_of_several_styles_are_read() -> None:
    doc = """A thing.

    Args:
        a, b: of both; c: of one: the third,
            on two lines.
        d (float, optional): in brackets. Default: 1.

            A second paragraph.

    Returns:
        e: nothing.
    """
    names = ["a", "b", "c", "d", "e"]
    assert [argument(doc, name, names) for name in names] == [
        "of both", "of both", "of one: the third, on two lines.", "in brackets. Default: 1.", "",
    ]  # fmt: skip


def test_values_are_written_so_that_they_are_read_back() -> None:
    values = [
        "a b",
        "1",
        "null",
        "it's",
        "",
        "x=y",
        "a,b",
        "^([^_]+)_",
        1e-5,
        True,
        None,
        ["x", [1, 2.5]],
        {"a": ["b"]},
    ]
    for value in values:
        assert to_plain(compose([f"+data.new={written(value)}"]))["data"]["new"] == value, written(value)


def test_the_command_explains_without_torch_and_writes_nothing(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(CONF.parent)}
    code = "import sys; from maskrcnn.cli import train; train(); print('torch' in sys.modules)"
    (tmp_path / "mine" / "neck").mkdir(parents=True)
    mine = (CONF / "neck" / "fpn.yaml").read_text().replace("channels: 256", "channels: 99 # mine")
    (tmp_path / "mine" / "neck" / "own.yaml").write_text(mine)
    arguments = ["--config-dir=mine", "neck=own", "explain=model.neck.channels"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert re.search(r"set by    99  mine/neck/own.yaml:\d+  \(neck=own on the command line", done.stdout), done.stderr
    assert "comment   mine" in done.stdout and done.stdout.endswith("False\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
