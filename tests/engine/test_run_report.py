"""What a run's page says where nothing was scored."""

from collections.abc import Callable
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.engine.run_report import RunReport

EVALUATE = "python evaluate.py checkpoint={}/checkpoints/last.ckpt"


@pytest.mark.parametrize(
    ("overrides", "why", "command"),
    [
        (
            ["trainer.limit_val_batches=0"],
            "trainer.limit_val_batches=0 leaves validation out",
            EVALUATE + """ 'override=["trainer.limit_val_batches=1.0"]'""",
        ),
        (["callbacks.mean_ap=null", "callbacks.best=null"], "callbacks.mean_ap is null", EVALUATE),
        (["trainer.max_steps=1"], "there was no validation since its last start", EVALUATE),
    ],
)
def test_a_run_without_a_validation_says_why_and_what_gives_scores(
    overrides: list[str], why: str, command: str, fit: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    fit(tmp_path, "trainer.max_epochs=1", "callbacks.pictures=null", "logger=csv", *overrides)
    page = unescape((tmp_path / "report.html").read_text())
    assert f", without scores, as {why}. To score the weights: <code>{command.format(tmp_path)}</code></p>" in page
    assert "<figcaption>parts of the training loss</figcaption><svg" in page
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_validation_pictures_without_annotations_are_said_to_give_no_scores(tmp_path: Path) -> None:
    mean_ap = object.__new__(MeanAP)
    mean_ap.evaluator = SimpleNamespace(predictions={0: []}, ground_truth={"annotations": []})
    data = SimpleNamespace(val_annotations=SimpleNamespace(file=tmp_path / "val.json"))
    trainer = SimpleNamespace(
        is_global_zero=True, global_step=4, callbacks=[mean_ap], limit_val_batches=1.0, datamodule=data
    )
    RunReport(directory=str(tmp_path), score_threshold=0.5).on_fit_end(trainer, None)
    page = unescape((tmp_path / "report.html").read_text())
    said = f"after 4 steps, without scores, as {tmp_path}/val.json has no annotations, which have to be added first. "
    assert said in page and "<h2>Scores" not in page
