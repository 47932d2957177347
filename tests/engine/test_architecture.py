from pathlib import Path

import pytest
import torch

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.architecture import explained
from maskrcnn.modeling.weights import load_weights

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
    backbone = build(to_plain(compose([f"backbone={theirs}"]))["model"]["backbone"], [])(3)
    path = tmp_path / "classifier.pth"
    torch.save({**backbone.state_dict(), **CLASSIFIER}, path)
    config = to_plain(compose(ours))
    with pytest.raises(ValueError) as raised, explained(config):
        load_weights(build(config["model"], [])(1, 3), str(path), {"a": 1})
    assert str(raised.value) == (
        f"weights={path} is of another architecture: its backbone is that of backbone={theirs}, with the values of "
        "that choice's file. Use the configuration that it was trained with"
    )
