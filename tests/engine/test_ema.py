"""The average of the weights against its definition, and the checkpoint of its best state."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from maskrcnn.commands.evaluate import evaluate
from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.ema import Ema
from maskrcnn.run_files import checkpoint

Fit = Callable[..., dict[str, float]]


def ema_of(model: nn.Module, decay: float, warmup: float) -> Ema:
    made = Ema(decay=decay, warmup=warmup, mean_ap=None, monitor="", path="")  # type: ignore[arg-type]
    made.model = model  # type: ignore[assignment]
    return made


def test_the_average_is_that_of_its_definition() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average: Any = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ema = ema_of(average, decay=0.5, warmup=10)
    expected = {name: value.double().clone() for name, value in average.state_dict().items()}
    for n, keep in enumerate((2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 9 / 18, 0.5, 0.5), start=1):
        model(torch.randn(5, 3)).square().sum().backward()  # moves the statistics too
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ema.update(model)  # type: ignore[arg-type]
        for name, value in model.state_dict().items():
            is_float = value.is_floating_point()
            expected[name] = keep * expected[name] + (1 - keep) * value.double() if is_float else value.double()
        assert ema.updates == n and average[1].num_batches_tracked == n
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-6, atol=1e-6)


def test_a_weight_that_stands_still_is_averaged_to_its_very_bits() -> None:
    model: Any = nn.Linear(64, 64)
    average: Any = nn.Linear(64, 64)
    average.load_state_dict(model.state_dict())
    ema = ema_of(average, decay=0.999, warmup=10)
    for _ in range(20):
        ema.update(model)
    assert torch.equal(average.weight, model.weight)


def test_it_moves_once_in_an_optimiser_step_and_goes_on_where_it_was() -> None:
    module: Any = SimpleNamespace(model=nn.Linear(2, 2))
    average: Any = nn.Linear(2, 2)
    ema, trainer, saved = ema_of(average, decay=0.9, warmup=10), SimpleNamespace(global_step=7), {}
    ema.on_train_start(trainer, module)  # type: ignore[arg-type]
    for step in (7, 8, 8, 9):  # two batches a step, the run resumed after the seventh
        trainer.global_step = step
        ema.on_train_batch_end(trainer, module, None, None, 0)  # type: ignore[arg-type]
    assert ema.updates == 2
    ema.best = 0.4
    ema.on_save_checkpoint(trainer, module, saved)  # type: ignore[arg-type]
    other = ema_of(nn.Linear(2, 2), decay=0.9, warmup=10)
    other.on_load_checkpoint(trainer, module, saved)  # type: ignore[arg-type]
    other.on_fit_start(trainer, module)  # type: ignore[arg-type]
    assert (other.updates, other.best) == (2, 0.4)
    assert torch.equal(other.model.weight, average.weight)  # type: ignore[arg-type]


def test_values_that_are_no_average_are_refused() -> None:
    with pytest.raises(ValueError, match="decay is 1 and warmup 10; give a decay from 0 to below 1"):
        ema_of(nn.Linear(1, 1), decay=1, warmup=10)


def test_its_best_checkpoint_scores_what_was_logged_of_it(fit: Fit, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(run, "trainer.max_epochs=1", "callbacks=ema", "logger=csv", "callbacks.pictures=null")
    with (run / "metrics" / "metrics.csv").open() as file:
        (logged,) = [row for row in csv.DictReader(file) if row["segm/AP"]]
    names = [name for name in logged if name.startswith(("segm/", "bbox/")) and logged[name]]
    assert [logged[name] for name in names] != [logged[f"ema/{name}"] for name in names]
    loaded = {name: checkpoint.read(run / "checkpoints" / f"{name}.ckpt") for name in ("last", "best_ema")}
    average = checkpoint.model_state(loaded["best_ema"])
    assert all(torch.equal(value, average[name]) for name, value in loaded["last"]["ema"]["weights"].items())
    assert "optimizer_states" not in loaded["best_ema"]
    path = run / "checkpoints" / "best_ema.ckpt"
    scores = evaluate(**build(to_plain(compose([f"checkpoint={path}", f"output={tmp_path}/out"], "evaluate")), []))
    expected = {name: float(logged[f"ema/{name}"]) for name in names}
    assert {name: scores[name] for name in names} == pytest.approx(expected, rel=1e-6, abs=0, nan_ok=True)


def test_a_sanity_check_before_training_is_no_best_score(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    fit(
        run, "trainer.max_epochs=1", "callbacks=ema", "logger=csv", "callbacks.pictures=null", "data.val_batch_size=1",
        "trainer.num_sanity_val_steps=2",
    )  # fmt: skip
    assert checkpoint.read(run / "checkpoints" / "best_ema.ckpt")["global_step"] == 4
    said = capsys.readouterr().out
    assert said.count("epoch 1: box AP") == said.count("average of the weights: ema/segm/AP") == 1
