import json
from pathlib import Path

import pytest

from maskrcnn.config.recall import recall


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """The folder of a run that was started, and went on with another rate."""
    common = ["data=coco_custom", "data.root=my data", "+callbacks.x={a: 1}", "~callbacks.best", "run_dir=old"]
    starts = [{"overrides": [*common, "optimizer.lr=0.1"]}, {"overrides": [*common, "optimizer.lr=0.2", "resume=old"]}]
    (tmp_path / "receipt.json").write_text(json.dumps({"starts": starts}))
    return tmp_path


def test_a_run_goes_on_with_what_it_was_started_with(started: Path) -> None:
    kept = ["data=coco_custom", "data.root=my data", "+callbacks.x={a: 1}", "~callbacks.best"]
    resume = f"resume={started}"
    assert recall([resume]) == ([*kept, "optimizer.lr=0.2", resume], [*kept, "optimizer.lr=0.2"])
    given = ["--config-dir=conf", "seed=3", resume, "optimizer.lr=0.3", "callbacks.best=null"]
    expected = ["--config-dir=conf", "seed=3", *kept[:3], resume, "optimizer.lr=0.3", "callbacks.best=null"]
    assert recall(given) == (expected, kept[:3])
    assert recall(expected) == (expected, [])
    apart = ["--config-dir", "conf", "-cn", "train", resume]  # the values of options are no overrides
    assert recall(apart) == ([*apart[:-1], *kept, "optimizer.lr=0.2", resume], [*kept, "optimizer.lr=0.2"])
    assert recall(["data=shapes", resume])[1] == [*kept[2:], "optimizer.lr=0.2"]  # there is no data.root to give


def test_a_receipt_chooses_no_code(started: Path) -> None:
    """It may be another's: packages that are called, and what Hydra itself makes, are named anew each time."""
    code = [
        "plugins=[os]",
        "++plugins=[os]",
        "hydra.searchpath=[/tmp]",
        "+hydra.callbacks.x._target_=y",
        "hydra/launcher=z",
    ]
    (started / "receipt.json").write_text(json.dumps({"starts": [{"overrides": [*code, "seed=1"]}]}))
    assert recall([f"resume={started}"])[1] == ["seed=1"]
    assert recall(["plugins=[mine]", f"resume={started}"])[0] == ["plugins=[mine]", "seed=1", f"resume={started}"]


@pytest.mark.parametrize(
    "arguments", [["seed=1"], ["-m", "resume={}"], ["resume=auto"], ["resume=null"], ["resume={}/no"]]
)
def test_nothing_is_recalled(started: Path, arguments: list[str]) -> None:
    arguments = [text.format(started) for text in arguments]
    assert recall(arguments) == (arguments, [])


def test_what_cannot_be_read_is_left_to_others(started: Path) -> None:
    broken = [f"resume={started}", "seed=[1"]
    assert recall(broken) == (broken, [])


@pytest.mark.parametrize(
    "text",
    ['{"starts": [', "", "[]", '{"starts": []}', "[" * 100_000]
    + [f'{{"starts": [{{"overrides": {overrides}}}]}}' for overrides in ('"seed=1"', "[1]", "{}")],
)
def test_a_broken_receipt_is_named(text: str, started: Path) -> None:
    (started / "receipt.json").write_text(text)
    with pytest.raises(
        ValueError, match="receipt.json is broken: copy it again .*, or delete it and give the overrides"
    ):
        recall([f"resume={started}"])


def test_a_run_without_its_receipt_is_told_of(started: Path) -> None:
    (started / "receipt.json").unlink()
    (started / "checkpoints").mkdir()
    (started / "checkpoints" / "last.ckpt").touch()
    with pytest.warns(
        UserWarning, match="no .*receipt.json, so it is not known how .* give the overrides of then again"
    ):
        assert recall([f"resume={started}"]) == ([f"resume={started}"], [])
