"""Losses of the validation pictures."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.restore import restore
from maskrcnn.engine.validation_losses import ValidationLosses

Fit = Callable[..., dict[str, float]]


def test_they_are_the_training_losses_of_all_pictures_in_evaluation_mode(
    fit: Fit, open_shapes: Callable[..., CocoDataModule], tmp_path: Path
) -> None:
    scores = fit(tmp_path / "run", "trainer.max_epochs=1", "callbacks.pictures=null", "data.val_batch_size=4",
                 "loss_weights.mask=2.0")  # fmt: skip
    restored = restore(tmp_path / "run" / "checkpoints" / "last.ckpt", [], [])
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    with torch.no_grad():
        for batch in open_shapes("data.val_batch_size=1").val_dataloader():  # a picture a batch instead of four
            for name, loss in restored.model(batch)._asdict().items():
                sums[name] = sums.get(name, 0.0) + loss.sum.item()
                counts[name] = counts.get(name, 0.0) + float(loss.count)
    expected = {name: sums[name] / max(counts[name], 1) for name in sums}
    found = {name: scores[f"val/{name}"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)
    assert scores["val/loss"] == pytest.approx(sum(expected.values()) + expected["mask"], rel=1e-5)


def test_they_change_no_bit_of_the_run(fit: Fit, tmp_path: Path) -> None:
    for name, choice in (("with", "callbacks.pictures=null"), ("without", "callbacks.validation_losses=null")):
        fit(tmp_path / name, "trainer.max_epochs=2", "trainer.limit_train_batches=2", choice, "callbacks.pictures=null")
    states = [
        restore(tmp_path / name / "checkpoints" / "last.ckpt", [], []).model.state_dict()
        for name in ("with", "without")
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])


def test_they_are_computed_after_every_so_many_epochs() -> None:
    callback, module = ValidationLosses(every_n_epochs=2), SimpleNamespace(device="cpu")
    due = []
    for epoch in range(4):
        callback.on_validation_epoch_start(SimpleNamespace(current_epoch=epoch), module)  # type: ignore[arg-type]
        due.append(callback.total is not None)
    assert due == [False, True, False, True]
