"""A run from a file in torchvision's layout, for other classes: what is taken, what is not, what is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain

COCO = 91  # torchvision's classes, with the background
# The parts that torchvision's model has, in any width, and its conventions.
LIKE_TORCHVISION = [
    "model.backbone.width=16", "model.backbone.stem=conv7", "model.backbone.norm=frozen", "neck=fpn",
    "model.neck.channels=16", "rpn=paper", "pooler=torchvision", "model.anchors.rounded=true",
    "model.anchors.measured_strides=true", "box_head=fc", "model.box_head.trunk.features=[32,32]", "mask_head=fcn",
    "model.mask_head.channels=[16,16,16,16]", "model.mask_head.upsampled_channels=16",
    "data.source.train_pictures=4", "data.source.val_pictures=2",
]  # fmt: skip
NAMES = {
    "backbone.": "backbone.body.",
    "neck.lateral.": "backbone.fpn.inner_blocks.",
    "neck.output.": "backbone.fpn.layer_blocks.",
    "rpn.conv.0.0.": "rpn.head.conv.0.0.",
    "rpn.objectness.": "rpn.head.cls_logits.",
    "rpn.deltas.": "rpn.head.bbox_pred.",
    "box_head.trunk.1.": "roi_heads.box_head.fc6.",
    "box_head.trunk.3.": "roi_heads.box_head.fc7.",
    "mask_head.convs.": "roi_heads.mask_head.",
    "mask_head.upsample.": "roi_heads.mask_predictor.conv5_mask.",
}
PREDICTORS = {
    "box_head.logits": ("roi_heads.box_predictor.cls_score", COCO),
    "box_head.deltas": ("roi_heads.box_predictor.bbox_pred", 4 * COCO),
    "mask_head.logits": ("roi_heads.mask_predictor.mask_fcn_logits", COCO),
}


def in_torchvisions_layout(own: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights drawn for torchvision's names of a model's tensors, and those names by ours, without the predictors."""
    generator = torch.Generator().manual_seed(7)
    state, names = {}, {}
    for key, value in own.items():
        shape = value.shape
        head, _, leaf = key.rpartition(".")
        if head in PREDICTORS:
            name, rows = PREDICTORS[head]
            theirs, shape = f"{name}.{leaf}", torch.Size((rows, *shape[1:]))
        else:
            prefix = next((prefix for prefix in NAMES if key.startswith(prefix)), None)
            if prefix is None:  # constants, such as anchors
                continue
            theirs = names[key] = NAMES[prefix] + key.removeprefix(prefix)
        state[theirs] = 0.01 * torch.rand(shape, generator=generator) + float(leaf == "running_var")
    return state, names


class AtTheStart(pl.Callback):
    """Keeps the weights that training begins with."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.state = {key.removeprefix("model."): value.clone() for key, value in pl_module.state_dict().items()}


def test_a_run_begins_with_all_of_torchvisions_weights_but_the_predictors(
    fit: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*LIKE_TORCHVISION, "model.backbone.frozen_stages=2", "optimizer.lr=0.0001", "trainer.max_epochs=1"]
    model = build(to_plain(compose(LIKE_TORCHVISION))["model"], [])(4, 3)
    theirs, names = in_torchvisions_layout(model.state_dict())
    torch.save(theirs, tmp_path / "torchvision.pth")
    start = AtTheStart()
    fit(tmp_path / "run", *options, f"weights={tmp_path}/torchvision.pth", callback=start)

    taken = [key for key, name in names.items() if torch.equal(start.state[key], theirs[name])]
    assert taken == list(names)
    rest = {key.rpartition(".")[0] for key in start.state if key not in names}
    assert rest == set(PREDICTORS)
    assert start.state["box_head.logits.weight"].shape[0] == 5

    end = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    moved = {key.removeprefix("model.") for key, value in end.items() if not torch.equal(value, start.state[key[6:]])}
    assert not any(key.startswith(("backbone.conv1.", "backbone.bn1.", "backbone.layer1.")) for key in moved)
    assert {"backbone.layer2.0.conv1.weight", "rpn.objectness.weight", "box_head.logits.weight"} <= moved

    said = capsys.readouterr().out.splitlines()
    first = said.index(f"loaded {len(names)} tensors from {tmp_path}/torchvision.pth")
    assert said[first + 1] == (
        "box_head.deltas, box_head.logits, mask_head.logits start anew: the file is for another number of classes"
    )


def test_a_run_of_no_steps_keeps_the_weights_to_be_scored(
    fit: Callable[..., Any], command: Callable[..., Any], tmp_path: Path
) -> None:
    model = build(to_plain(compose(LIKE_TORCHVISION))["model"], [])(4, 3)
    theirs, names = in_torchvisions_layout(model.state_dict())
    torch.save(theirs, tmp_path / "torchvision.pth")
    options = [*LIKE_TORCHVISION, f"weights={tmp_path}/torchvision.pth", "trainer.max_steps=0"]
    assert fit(tmp_path / "run", *options) == {}
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    kept = torch.load(last, weights_only=True)["state_dict"]
    assert [key for key, name in names.items() if torch.equal(kept[f"model.{key}"], theirs[name])] == list(names)

    scored = command("evaluate.py", f"checkpoint={last}", cwd=tmp_path, tiny=False)
    assert scored.returncode == 0, scored.stderr
    numbers = json.loads((tmp_path / "run" / "evaluation" / "metrics.json").read_text())
    assert numbers["segm/AP"] == 0
