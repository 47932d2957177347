"""A user's own backbone, in a package of their own, plugs in by configuration."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

PACKAGE = '''
from torch import Tensor, nn


class Plain(nn.Module):
    """Four strided convolutions."""

    strides = (4, 8, 16, 32)

    def __init__(self, image_channels: int, *, width: int) -> None:
        super().__init__()
        self.channels = (width,) * 4
        self.stages = nn.ModuleList(
            nn.Conv2d(image_channels if i == 0 else width, width, 5, stride=4 if i == 0 else 2, padding=2)
            for i in range(4)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features = []
        for stage in self.stages:
            images = stage(images).relu()
            features.append(images)
        return tuple(features)
'''
CONFIG = "# @package model.backbone\n_target_: mybackbone.Plain\n_partial_: true\nwidth: 12\n"


@pytest.mark.slow
def test_a_backbone_of_an_own_package(command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    (tmp_path / "mybackbone.py").write_text(PACKAGE)
    (tmp_path / "conf" / "backbone").mkdir(parents=True)
    (tmp_path / "conf" / "backbone" / "plain.yaml").write_text(CONFIG)
    arguments = ["--config-dir=conf", "backbone=plain", "debug=fast"]
    refused = command("train.py", *arguments, "run_dir=refused", cwd=tmp_path)
    assert refused.returncode != 0 and "add plugins=[mybackbone] to the command line" in refused.stderr, refused.stderr
    done = command("train.py", *arguments, "plugins=[mybackbone]", "run_dir=own", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "own" / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    assert list(state["model.backbone.stages.3.weight"].shape) == [8, 8, 5, 5]  # the width of the tiny model
    alone = command("evaluate.py", f"checkpoint={path}", cwd=tmp_path, tiny=False)
    assert alone.returncode != 0 and "add plugins=[mybackbone]" in alone.stderr
    scored = command("evaluate.py", f"checkpoint={path}", "plugins=[mybackbone]", cwd=tmp_path, tiny=False)
    assert scored.returncode == 0, scored.stderr
