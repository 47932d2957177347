from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.architecture import explained
from maskrcnn.modeling.weights import load_weights

NEEDY = """
from maskrcnn.modeling.resnet import ResNet

class Needy(ResNet):
    def __init__(self, channels, **given):
        super().__init__(channels, **given)
        self.total = float(self.conv1.weight.sum())
"""
CLASSIFIER = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("resnet18", ["backbone=resnet34"]),
        ("resnet34", []),
        ("resnet34", ["backbone=resnet34", "model.backbone.norm=group"]),
    ],
)
def test_weights_of_another_backbone_are_told_by_its_name(theirs: str, ours: list[str], tmp_path: Path) -> None:
    check_told(theirs, to_plain(compose(ours)), tmp_path)


def test_a_backbone_of_the_users_own_may_need_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy.py").write_text(NEEDY)
    monkeypatch.syspath_prepend(tmp_path)
    config = to_plain(compose(["backbone=resnet18", "plugins=[needy]"]))
    config["model"]["backbone"]["_target_"] = "needy.Needy"
    check_told("resnet34", config, tmp_path)


def check_told(theirs: str, config: dict[str, Any], tmp_path: Path) -> None:
    """That weights of a backbone are answered with its name."""
    backbone = build(to_plain(compose([f"backbone={theirs}"]))["model"]["backbone"], [])(3)
    path = tmp_path / "classifier.pth"
    torch.save({**backbone.state_dict(), **CLASSIFIER}, path)
    with pytest.raises(ValueError) as raised, explained(config):
        load_weights(build(config["model"], config["plugins"])(1, 3), str(path), {"a": 1})
    assert str(raised.value) == (
        f"weights={path} is of another architecture: its backbone is that of backbone={theirs}, with the values of "
        "that choice's file. Use the configuration that it was trained with"
    )
