"""ConvNeXt against torchvision's, and what the detector needs of a backbone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.optimizer import layer_factors
from maskrcnn.modeling.convnext import ConvNeXt
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.weights import load_weights
from maskrcnn.structures import Batch
from tests.modeling.test_parity import sample
from tests.modeling.test_peers import GOLDEN, PAPER, golden_weights

SMALL: dict[str, Any] = dict(
    depths=[1, 1, 4, 1], widths=[8, 16, 24, 32], layer_scale=1.0, norm_eps=1e-6, frozen_stages=0
)
CLASSES = {name: i for i, name in enumerate("abcde", 1)}


def make_model() -> MaskRCNN:
    paper = [one for one in PAPER if not one.startswith(("backbone=", "model.backbone."))]
    config = to_plain(compose([*paper, "backbone=convnext_tiny"]))
    return build(config["model"], [])(len(CLASSES), 3).eval()


def torchvisions() -> dict[str, Tensor]:
    shapes = json.loads((GOLDEN / "torchvision_convnext_tiny_keys.json").read_text())
    make = golden_weights().peer_array
    return {key: torch.from_numpy(make(key, shape, "convnext")) for key, shape in shapes.items()}


def under_its_authors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {"block.0": "dwconv", "block.2": "norm", "block.3": "pwconv1", "block.5": "pwconv2"}
    found = {}
    for key, value in state.items():
        part, number, *rest = key.split(".")
        if part == "classifier":
            found[f"{'norm' if number == '0' else 'head'}.{rest[0]}"] = value
            continue
        level, inner = divmod(int(number), 2)
        if not inner:
            found[".".join(["downsample_layers", str(level), *rest])] = value
        elif rest[1] == "layer_scale":
            found[f"stages.{level}.{rest[0]}.gamma"] = value.flatten()
        else:
            found[f"stages.{level}.{rest[0]}.{names['.'.join(rest[1:3])]}.{rest[3]}"] = value
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MaskRCNN:
    path = tmp_path_factory.mktemp("weights") / "convnext.pth"
    torch.save(torchvisions(), path)
    model = make_model()
    assert load_weights(model, str(path), CLASSES) == [f"loaded {len(torchvisions()) - 4} tensors from {path}"]
    return model


def test_stages_are_torchvisions_and_maps_are_normalised(model: MaskRCNN) -> None:
    stages: list[Tensor] = []
    hooks = [stage.register_forward_hook(lambda _, __, out: stages.append(out)) for stage in model.backbone.stages]
    with np.load(GOLDEN / "torchvision_maskrcnn_r50_fpn.npz") as arrays:
        pixels = arrays["image0"][:224, :320]
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        maps = model.backbone(model.normalise(images, torch.tensor([[224, 320]])))
    for hook in hooks:
        hook.remove()
    with np.load(GOLDEN / "torchvision_convnext_tiny.npz") as golden:
        for level, stage in enumerate(stages, 2):
            want = golden[f"c{level}_sample"]
            assert list(stage.shape) == golden[f"c{level}_shape"].tolist()
            assert np.abs(sample(stage, 257) - want).max() <= 1e-4 * want.std()
    for stage, got in zip(stages, maps, strict=True):  # its norms are as drawn: no scale, no shift
        mean, var = stage.mean(1, keepdim=True), stage.var(1, correction=0, keepdim=True)
        torch.testing.assert_close(got, (stage - mean) / (var + 1e-6).sqrt(), rtol=1e-4, atol=1e-5)


def test_its_authors_files_load_the_same(model: MaskRCNN, tmp_path: Path) -> None:
    theirs = under_its_authors_names(torchvisions())
    torch.save({"model": theirs}, tmp_path / "convnext_tiny_1k_224_ema.pth")
    other = make_model()
    load_weights(other, str(tmp_path / "convnext_tiny_1k_224_ema.pth"), CLASSES)
    for key, value in other.backbone.state_dict().items():
        assert torch.equal(value, model.backbone.state_dict()[key]), key


def test_freezing_stops_the_gradient_of_the_first_parts_only() -> None:
    backbone = ConvNeXt(3, **{**SMALL, "frozen_stages": 2})
    frozen = {name.rpartition(".")[0] for name, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {
        "downsample_layers.0.0", "downsample_layers.0.1", "norm0", "stages.0.0", "stages.0.0.dwconv",
        "stages.0.0.norm", "stages.0.0.pwconv1", "stages.0.0.pwconv2",
    }  # fmt: skip
    with pytest.raises(ValueError, match="frozen_stages is 6; it counts stem, C2, C3, C4, C5, so 0 to 5"):
        ConvNeXt(3, **{**SMALL, "frozen_stages": 6})
    with pytest.raises(ValueError, match=r"model\.backbone\.widths is \[8\]; give four numbers, one for each stage"):
        ConvNeXt(3, **{**SMALL, "widths": [8]})


def test_layers_are_its_authors() -> None:
    """`get_num_layer_layer_wise` of their detection code, by the names of parameters."""
    holder = nn.Module()
    holder.backbone = ConvNeXt(3, **SMALL)
    factors = layer_factors(holder, 0.5)
    layers = {  # of 7 = the stem, C2, C3, two groups of three blocks of C4, C5 and what comes after
        "downsample_layers.0.0.weight": 0, "stages.0.0.gamma": 1, "downsample_layers.1.0.weight": 2,
        "stages.1.0.gamma": 2, "downsample_layers.2.1.bias": 3, "stages.2.2.gamma": 3, "stages.2.3.gamma": 4,
        "downsample_layers.3.0.bias": 5, "stages.3.0.dwconv.weight": 5,
    }  # fmt: skip
    for name, number in layers.items():
        assert factors[f"backbone.{name}"] == 0.5 ** (6 - number), name


def test_the_detector_stays_one_full_graph_with_the_same_bits(
    build_model: Callable[..., MaskRCNN], make_batch: Callable[..., Batch]
) -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    model = build_model()
    model.backbone = ConvNeXt(3, **{**SMALL, "widths": list(model.backbone.channels)})  # its maps fit the neck
    batch = make_batch([3, 1])
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for got, want in zip(compiled(batch), model(batch), strict=True):
        assert torch.equal(got.sum, want.sum) and torch.equal(got.count, want.count)
    assert counter.frame_count == 1
