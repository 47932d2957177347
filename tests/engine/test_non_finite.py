"""Losses that are not finite, of planted causes: what training does, what the black box holds, what replay names."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from maskrcnn.commands.replay import replay
from maskrcnn.data.window import Windowed
from maskrcnn.engine import black_box, non_finite
from maskrcnn.engine.ranges import Range, of, watch
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.run_files import checkpoint

Fit = Callable[..., dict[str, float]]
Command = Callable[..., subprocess.CompletedProcess[str]]
SHORT = ["trainer.max_epochs=1", "trainer.limit_val_batches=0", "callbacks.best=null", "logger=csv"]


class Plant(pl.Callback):
    """Does something to the model or the batch before batch 1, and keeps the model's state around that batch."""

    def __init__(self, plant: Callable[[MaskRCNN, Any], None]) -> None:
        self.plant = plant
        self.before: dict[str, torch.Tensor] = {}
        self.after: dict[str, torch.Tensor] = {}
        self.batch: Any = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        model: Any = pl_module.model
        if batch_idx == 1:
            self.batch = batch.batch if isinstance(batch, Windowed) else batch
            with torch.no_grad():
                self.plant(model, self.batch)
        if batch_idx == 1 - 1 % trainer.accumulate_grad_batches:
            self.before = {name: value.clone() for name, value in model.state_dict().items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 1:
            model: Any = pl_module.model
            self.after = {name: value.clone() for name, value in model.state_dict().items()}


def nan_weight(model: MaskRCNN, batch: Any) -> None:
    model.mask_head.logits.weight.flatten()[3] = torch.nan


def huge_box(model: MaskRCNN, batch: Any) -> None:
    batch.targets.boxes[2, 1] = torch.tensor([-3e38, 0.0, 3e38, 20.0])


def nothing(model: MaskRCNN, batch: Any) -> None:
    pass


def test_a_weight_that_is_no_number_stops_training_and_is_named(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = (
        r"^the loss of step 2 is not finite; .*/blackbox_step_000002\.pt holds it, and python replay\.py .* names the "
        r"first bad tensor\. Weights are not finite before this step: go on from a checkpoint before it"
    )
    with pytest.raises(ValueError, match=message):  # what skips a step cannot help either
        fit(tmp_path, *SHORT, "callbacks.non_finite.action=skip", callback=Plant(nan_weight))
    capsys.readouterr()
    assert replay(tmp_path / "blackbox_step_000002.pt", []) == 0
    output = capsys.readouterr().out
    assert "step 2, rank 0: the loss was nan." in output
    assert "first bad tensor: the weight mask_head.logits.weight: 1 of 16 values not finite, the first is nan" in output
    assert "no object of the batch has a box without area" in output


def test_a_learning_rate_beyond_measure_fails_at_the_second_step(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="the loss of step 2 is not finite.*action=skip leaves out such steps"):
        fit(tmp_path, *SHORT, "optimizer.lr=1e30", "schedule.warmup_steps=0")
    capsys.readouterr()
    assert replay(tmp_path / "blackbox_step_000002.pt", []) == 0
    output = capsys.readouterr().out
    assert "first bad tensor: the output of backbone." in output
    assert "the largest weight before the step is 1." in output and "e+30, in " in output


def test_a_box_of_huge_coordinates_is_skipped_kept_and_named_with_its_annotation(
    fit: Fit, shapes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant = Plant(huge_box)
    fit(tmp_path, *SHORT, "callbacks.non_finite.action=skip", callback=plant)
    printed = capsys.readouterr().out
    assert "left out step 2: the loss of step 2 is not finite" in printed
    assert "\n1 steps since the start were left out, as their losses were not finite\n" in printed
    assert plant.before.keys() == plant.after.keys()
    assert all(torch.equal(plant.before[name], plant.after[name]) for name in plant.before)
    state = checkpoint.model_state(checkpoint.read(tmp_path / "checkpoints" / "last.ckpt"))
    assert all(value.isfinite().all() for value in state.values())
    assert not torch.equal(state["mask_head.logits.weight"], plant.after["mask_head.logits.weight"])  # it went on
    path = tmp_path / "blackbox_step_000002.pt"
    assert list(tmp_path.glob("blackbox*")) == [path]
    box = black_box.read(path)
    assert all(torch.equal(box["weights"][name], plant.before[name]) for name in plant.before)
    assert torch.equal(box["batch"]["keys"], plant.batch.keys)
    content = json.loads((shapes_root / "train.json").read_text())
    ids = {entry["file_name"]: entry["id"] for entry in content["images"]}
    for picture, annotations, index in zip(box["pictures"], box["annotations"], plant.batch.indices.tolist()):
        assert ids[Path(picture).name] == content["images"][index]["id"]
        wanted = [a["id"] for a in content["annotations"] if a["image_id"] == ids[Path(picture).name]]
        assert annotations == wanted
    assert replay(path, []) == 0
    output = capsys.readouterr().out
    assert f"bad target: annotation {box['annotations'][2][1]} (" in output
    assert f"{box['pictures'][2]}: its box -3e+38, 0, 3e+38, 20 reaches beyond the picture of" in output


def test_a_row_of_skipped_steps_ends_the_run(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(non_finite, "IN_A_ROW", 2)
    always = ["trainer.max_epochs=2", "callbacks.non_finite.action=skip", "loss_weights.mask=nan"]
    with pytest.raises(ValueError, match="It is the last of 2 in a row that were left out: nothing is learnt any more"):
        fit(tmp_path, *SHORT, *always)
    assert "left out step 1:" in capsys.readouterr().out


def test_the_bad_one_of_accumulated_batches_is_kept(fit: Fit, tmp_path: Path) -> None:
    plant = Plant(huge_box)
    accumulate = ["data.batch_size=3", "trainer.accumulate_grad_batches=2", "accumulation.exact=true"]
    norms = ["model.backbone.norm=group", "model.neck.norm=null", "model.mask_head.norm=null",
             "model.box_head.trunk.norm=null"]  # fmt: skip
    fit(tmp_path, *SHORT, *accumulate, *norms, "callbacks.non_finite.action=skip", callback=plant)
    box = black_box.read(tmp_path / "blackbox_step_000001.pt")
    assert torch.equal(box["batch"]["keys"], plant.batch.keys) and box["step"] == 1
    assert all(torch.equal(plant.before[name], plant.after[name]) for name in plant.before)


def test_what_is_finite_here_is_said_to_be(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant = Plant(huge_box)
    fit(tmp_path, *SHORT, "callbacks.non_finite.action=skip", callback=plant)
    path = tmp_path / "blackbox_step_000002.pt"
    box = torch.load(path, weights_only=True)
    box["batch"]["targets"]["boxes"][2, 1] = torch.tensor([1.0, 1.0, 20.0, 20.0])
    box["ranges"] = {"neck": Range(0.0, 1.0, 0.0)._asdict(), "rpn": Range(0.0, 1.0, 0.5)._asdict()}
    torch.save(box, path)
    capsys.readouterr()
    assert replay(path, []) == 3
    output = capsys.readouterr().out
    assert (
        "everything is finite on the CPU; where it was trained, the output of rpn was the first that was not" in output
    )


def test_a_black_box_cannot_name_what_it_likes(tmp_path: Path) -> None:
    path = tmp_path / "box.pt"
    with pytest.raises(ValueError, match=r"there is no .*box\.pt; name the blackbox_step"):
        black_box.read(path)
    torch.save({"black_box": 1, "code": Path("x")}, path)
    with pytest.raises(ValueError, match="it could run code"):
        black_box.read(path)
    torch.save({"weights": {}}, path)
    with pytest.raises(ValueError, match="is no black box of this version"):
        black_box.read(path)


def test_ranges() -> None:
    assert of([torch.tensor([1.0, torch.inf]), torch.tensor([[-2.0], [torch.nan]])]) == (-2.0, 1.0, 0.5)
    least, greatest, share = of([torch.tensor([torch.nan])])
    assert least != least and greatest != greatest and share == 1.0


def test_a_watched_model_is_as_before() -> None:
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[1].weight[:] = torch.tensor([[1.0, -2.0]])
    batch = torch.tensor([[1.0, 1.0], [3.0, 5.0]])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    output, ranges = watch(model, batch)  # type: ignore[arg-type]
    # Each column becomes -1 and 1, up to the eps; 1 * -1 - 2 * -1 = 1.
    assert list(ranges) == ["0", "1"] and ranges["0"][:2] == pytest.approx((-1, 1), abs=1e-4)
    assert ranges["1"] == (output.min().item(), output.max().item(), 0.0)  # type: ignore[attr-defined]
    assert ranges["1"][:2] == pytest.approx((-1, 1), abs=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model[0]._forward_hooks


RANKS = """
import sys, torch
from maskrcnn.cli import train
from maskrcnn.engine.module import MaskRCNNModule
before = MaskRCNNModule.training_step
def step(self, batch, batch_idx):
    if batch_idx == 1 and self.global_rank == 1:
        batch.targets.boxes[0, 0] = torch.tensor([-3e38, 0.0, 3e38, 20.0])
    return before(self, batch, batch_idx)
MaskRCNNModule.training_step = step
train()
"""


@pytest.mark.slow
def test_ranks_skip_and_stop_together(command: Command, tmp_path: Path) -> None:
    script = tmp_path / "planted.py"
    script.write_text(RANKS)
    two = ["trainer=ddp", "data.batch_size=2", *SHORT]
    done = command(str(script), *two, "callbacks.non_finite.action=skip", "run_dir=skip", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.count("left out step 2") == 1, done.stdout + done.stderr
    assert black_box.read(tmp_path / "skip" / "blackbox_step_000002.pt")["rank"] == 1
    done = command(str(script), *two, "run_dir=stop", cwd=tmp_path, env={**os.environ})
    assert done.returncode == 1 and done.stderr.count("error: the loss of step 2 is not finite") == 1, done.stderr
    assert "Traceback" not in done.stderr
    box = black_box.read(tmp_path / "stop" / "blackbox_step_000002.pt")
    assert box["rank"] == 1 and box["batch"]["targets"]["boxes"][0, 0, 2] > 1e38
