"""Data that a checkpoint is scored on."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import maskrcnn
from maskrcnn.commands.evaluate import evaluate
from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.restore import override_config
from maskrcnn.engine.scored import other_classes


def test_classes_in_another_order_are_ordered_by_the_override_that_is_named() -> None:
    classes = ["cat", "Käfer", "blue thing", "7", "no", "it's", 'a "b"', "x, y: z"]
    said = other_classes(classes, ["dog", *reversed(classes)])
    (argument,) = shlex.split(said.rpartition("order them by ")[2])  # as a shell does
    (override,) = to_plain(compose([argument, "checkpoint=x"], "evaluate"))["override"]
    changed = override_config({"data": {"class_map": None}}, [override])
    assert list(changed["data"]["class_map"].items()) == [(name, [name]) for name in classes]
    missing = other_classes(["cat", "dog"], ["cat"])
    assert "classes that the data has under no name (dog), add an entry to 'categories'" in missing


def test_a_checkpoint_of_a_run_without_validation_is_scored_like_one_with(
    fit: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    short = ("trainer.max_epochs=1", "callbacks.pictures=null", "callbacks.best=null", "logger=csv")
    logged = fit(tmp_path / "with", *short)
    fit(tmp_path / "without", *short, "callbacks.mean_ap=null", "trainer.limit_val_batches=0")
    files = [tmp_path / run / "checkpoints" / "last.ckpt" for run in ("with", "without")]
    options = to_plain(compose([f"checkpoint={files[1]}", f"output={tmp_path}/out"], "evaluate"))
    with pytest.raises(
        ValueError, match=r'0, which looks at no picture: give \'override=\["trainer.limit_val_batches=1.0"\]\''
    ):
        evaluate(**build(options, []))
    scores = evaluate(**build(options | {"override": ["trainer.limit_val_batches=1.0"]}, []))
    names = [name for name in scores if name.startswith(("segm/", "bbox/"))]
    assert len(names) == 24
    assert [scores[name] for name in names] == pytest.approx([logged[name] for name in names], rel=1e-6, nan_ok=True)
    picture = np.full((192, 256, 3), 128, np.uint8)
    one, other = (maskrcnn.load(file).predict(picture, score_threshold=0.0) for file in files)
    assert one.results == other.results and len(one.results) > 0
