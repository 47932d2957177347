"""trainer=gpu."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from maskrcnn.engine.recorded_losses import RecordedLosses

Fit = Callable[..., dict[str, float]]
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class NoWaiting(pl.Callback):
    """From the second batch on, whatever waits for the device raises, from a batch's start to its end."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, idx: int) -> None:
        torch.cuda.set_sync_debug_mode("default" if idx == 0 else "error")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, idx: int
    ) -> None:
        torch.cuda.set_sync_debug_mode("default")


def test_between_two_logged_steps_the_host_waits_for_nothing(fit: Fit, tmp_path: Path) -> None:
    watch = NoWaiting()
    try:
        scores = fit(
            tmp_path / "run", "trainer=gpu", "trainer.max_epochs=1", "trainer.log_every_n_steps=100",
            "callbacks.progress.every_n_steps=100", callback=watch,
        )  # fmt: skip
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert 0 <= scores["segm/AP"] <= 1


def test_recorded_steps_train_as_plain_ones(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    said = ("trainer=gpu", "trainer.deterministic=true", "trainer.max_epochs=2", "trainer.accumulate_grad_batches=2")
    plain = fit(tmp_path / "plain", *said)
    made: list[RecordedLosses] = []
    monkeypatch.setattr("maskrcnn.engine.train.RecordedLosses", lambda: made.append(RecordedLosses()) or made[-1])  # type: ignore[func-returns-value]
    recorded = fit(tmp_path / "recorded", *said, "cuda_graphs=true")
    assert repr(recorded) == repr(plain)  # without large objects their AP is nan
    assert plain["segm/AP"] >= 0
    kept = [(tmp_path / name / "checksums.csv").read_text() for name in ("plain", "recorded")]
    assert kept[0] == kept[1]
    assert made[0].recordings.kept
