"""What TensorBoard, W&B and MLflow get of a run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Fit = Callable[..., dict[str, float]]
SHORT = ["trainer.max_epochs=1", "trainer.limit_train_batches=1"]


def test_tensorboard_gets_numbers_the_sheet_the_configuration_and_the_receipt(fit: Fit, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    scores = fit(tmp_path, *SHORT)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    assert events.Scalars("segm/AP50")[0].value == pytest.approx(scores["segm/AP50"], abs=1e-7)
    assert "train/mask" in events.Tags()["scalars"]
    assert [image.step for image in events.Images("pictures")] == [1]
    config, receipt = (events.Tensors(f"{n}/text_summary")[0].tensor_proto.string_val[0] for n in ("config", "receipt"))
    assert (tmp_path / "config.yaml").read_text() in config.decode()
    assert json.loads(receipt.decode().strip("`\n"))["end"]["steps"] == 1


def test_mlflow_gets_them_in_a_local_store(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[mlflow]'")
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    scores = fit(run, *SHORT, "logger=mlflow", "logger.mlflow.artifact_location=artifacts")
    client = MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("maskrcnn")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.metrics["segm/AP50"] == pytest.approx(scores["segm/AP50"], abs=1e-7)
    assert found.data.metrics["train/mask"] > 0
    assert found.data.params["data/batch_size"] == "4"
    sheet = next(Path("artifacts").rglob("step_000001.png"))
    assert sheet.read_bytes() == (run / "pictures" / "step_000001.png").read_bytes()
    assert json.loads(next(Path("artifacts").rglob("receipt.json")).read_text())["end"]["steps"] == 1
    assert next(Path("artifacts").rglob("config.yaml")).read_text() == (run / "config.yaml").read_text()


def test_wandb_gets_them_offline(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed: pip install -e '.[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    try:
        scores = fit(tmp_path, *SHORT, "logger=wandb")
        summary, config = dict(wandb.run.summary), dict(wandb.run.config)
    finally:
        wandb.finish()
    assert summary["segm/AP50"] == pytest.approx(scores["segm/AP50"], abs=1e-7)
    assert summary["train/mask"] > 0 and config["data"]["batch_size"] == 4
    (files,) = tmp_path.glob("wandb/offline-run-*/files")
    (sheet,) = files.glob("media/images/pictures_*.png")
    assert sheet.read_bytes() == (tmp_path / "pictures" / "step_000001.png").read_bytes()
    assert json.loads((files / "receipt.json").read_text())["end"]["steps"] == 1
