"""The whole model against Detectron2's and MMDetection's, with the same weights (tests/golden/README.md)."""

import importlib.util
import json
import pickle
import re
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.modeling.layouts import DETECTRON2, MMDETECTION, Layout, convert
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.weights import load_weights
from tests.modeling.test_parity import assert_same_boxes, sample

GOLDEN = Path(__file__).parent.parent / "golden"
PAPER = [
    "backbone=resnet50", "neck=fpn", "anchors=coco", "rpn=paper", "sampler=paper", "pooler=aligned", "box_head=fc",
    "mask_head=fcn", "model.backbone.norm=frozen", "model.pooler.sampling=0", "model.box_head.pre_nms=5000",
]  # fmt: skip
CAFFE = ["model.pixel_std=[1.0,1.0,1.0]", "model.backbone.stride_in_1x1=true"]
OVERRIDES = {"detectron2": CAFFE, "mmdetection": []}
PROJECTS = {"detectron2": DETECTRON2.project, "mmdetection": MMDETECTION.project}
STEM = {"detectron2": "backbone.bottom_up.stem.conv1.weight", "mmdetection": "backbone.conv1.weight"}
SIZE = (224, 320)
CLASSES = {name: i for i, name in enumerate("abcde", 1)}


class Peer(NamedTuple):
    state: dict[str, np.ndarray]  # by their names
    golden: dict[str, np.ndarray]
    model: MaskRCNN
    images: Tensor


def golden_weights() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peer_weights", GOLDEN / "peer_weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_state(project: str) -> dict[str, np.ndarray]:
    shapes = json.loads((GOLDEN / f"{project}_maskrcnn_r50_fpn_keys.json").read_text())
    make = golden_weights().peer_array
    return {key: make(key, shape, project) for key, shape in shapes.items()}


def make_model(*overrides: str) -> MaskRCNN:
    return build(to_plain(compose([*PAPER, *overrides]))["model"], [])(len(CLASSES), 3).eval()


def save(state: dict[str, np.ndarray], project: str, folder: Path) -> str:
    """As the project writes it."""
    if project == "detectron2":
        path = folder / "model_final.pkl"
        path.write_bytes(pickle.dumps({"model": state, "__author__": "Detectron2 Model Zoo"}, protocol=2))
    else:
        path = folder / "epoch_12.pth"
        tensors = {key: torch.from_numpy(value) for key, value in state.items()}
        torch.save({"meta": {"epoch": 12, "CLASSES": tuple("abcde")}, "state_dict": tensors, "optimizer": {}}, path)
    return str(path)


@pytest.fixture(scope="module", params=["detectron2", "mmdetection"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    state = make_state(request.param)
    model = make_model(*OVERRIDES[request.param])
    load_weights(model, save(state, request.param, tmp_path_factory.mktemp("weights")), CLASSES)
    with np.load(GOLDEN / f"{request.param}_maskrcnn_r50_fpn.npz") as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    with np.load(GOLDEN / "torchvision_maskrcnn_r50_fpn.npz") as arrays:
        pixels = arrays["image0"][: SIZE[0], : SIZE[1]]
    return Peer(state, golden, model, torch.from_numpy(pixels).permute(2, 0, 1)[None].float())


@pytest.fixture(scope="module")
def features(peer: Peer) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return peer.model.extract(peer.model.normalise(peer.images, torch.tensor([SIZE])))


def assert_close_to_its_spread(got: np.ndarray, want: np.ndarray) -> None:
    assert np.abs(got - want).max() <= 1e-4 * want.std()


def test_input_and_pyramid(peer: Peer, features: tuple[Tensor, ...]) -> None:
    pixels = peer.model.normalise(peer.images, torch.tensor([SIZE])).double()
    want = peer.golden["input_checksum"]
    np.testing.assert_allclose([pixels.sum().item(), pixels.abs().sum().item()], want, rtol=1e-6)
    for level, name in zip(features, ("0", "1", "2", "3", "pool"), strict=True):
        assert list(level.shape) == peer.golden[f"fpn_{name}_shape"].tolist()
        assert_close_to_its_spread(sample(level, 257), peer.golden[f"fpn_{name}_sample"])


def test_rpn_and_box_head(peer: Peer, features: tuple[Tensor, ...]) -> None:
    with torch.no_grad():
        output = peer.model.score_anchors(features)
        proposals = peer.model.rpn.propose(output, torch.tensor([SIZE]), training=False)
        first = torch.from_numpy(peer.golden["proposals"])[:32]
        pooled = peer.model.pooler(peer.model.pooler.table(features), torch.zeros(32, dtype=torch.int64), first, 7)
        prediction = peer.model.box_head(pooled)
    for i, (scores, deltas, level) in enumerate(zip(output.objectness, output.deltas, features)):
        h, w = level.shape[-2:]
        as_maps = scores.view(1, h, w, 3).permute(0, 3, 1, 2)
        assert_close_to_its_spread(sample(as_maps, 129), peer.golden[f"rpn_logits_{i}_sample"])
        as_maps = deltas.reshape(1, h, w, 12).permute(0, 3, 1, 2)
        assert_close_to_its_spread(sample(as_maps, 129), peer.golden[f"rpn_deltas_{i}_sample"])
    assert_same_boxes(proposals.boxes[0][proposals.valid[0]], torch.from_numpy(peer.golden["proposals"]), 0.01)
    assert_close_to_its_spread(prediction.logits.numpy(), peer.golden["box_cls_logits_first32"])
    assert_close_to_its_spread(prediction.deltas.flatten(1).numpy(), peer.golden["box_deltas_first32"])


def test_detections(peer: Peer) -> None:
    with torch.no_grad():
        found = peer.model.detect(peer.images, torch.tensor([SIZE]))
    assert found.valid[0].all()
    np.testing.assert_allclose(found.scores[0].numpy(), peer.golden["det_scores"], atol=1e-5)
    np.testing.assert_allclose(found.boxes[0].numpy(), peer.golden["det_boxes"], atol=0.01)
    assert found.labels[0].tolist() == peer.golden["det_labels"].tolist()
    want = peer.golden["det_mask_probs_28"].astype(np.float32)
    np.testing.assert_allclose(found.masks[0][: len(want)].numpy(), want, atol=1e-3)  # stored in float16


def test_the_stride_may_lie_in_either_convolution(tmp_path: Path) -> None:
    path = save(make_state("detectron2"), "detectron2", tmp_path)
    model = make_model(CAFFE[0])
    load_weights(model, path, CLASSES)
    with np.load(GOLDEN / "torchvision_maskrcnn_r50_fpn.npz") as arrays:
        pixels = arrays["image0"][: SIZE[0], : SIZE[1]]
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    with torch.no_grad(), np.load(GOLDEN / "detectron2_maskrcnn_r50_fpn.npz") as golden:
        features = model.extract(model.normalise(images, torch.tensor([SIZE])))
        for level, name in zip(features, ("0", "1", "2", "3", "pool"), strict=True):
            assert_close_to_its_spread(sample(level, 257), golden[f"fpn_{name}_sample_stride3x3"])


@pytest.mark.parametrize(
    "project, overrides, turned, said",
    [
        ("detectron2", CAFFE, True, "bgr model.pixel_std=[1.0, 1.0, 1.0] model.backbone.stride_in_1x1=true"),
        ("detectron2", [], True, "bgr model.pixel_std=[58.395, 57.12, 57.375] model.backbone.stride_in_1x1=false"),
        ("mmdetection", CAFFE, True, "bgr model.pixel_std=[1.0, 1.0, 1.0] model.backbone.stride_in_1x1=true"),
        ("mmdetection", [], False, "rgb model.pixel_std=[58.395, 57.12, 57.375] model.backbone.stride_in_1x1=false"),
    ],
)
def test_what_a_file_does_not_say_is_told(
    tmp_path: Path, project: str, overrides: list[str], turned: bool, said: str
) -> None:
    state = make_state(project)
    path = save(state, project, tmp_path)
    stem = torch.from_numpy(state[STEM[project]])
    unnamed = ["the file does not name its classes: they are taken for a, b, c, d, e, in this order"]
    model = make_model(*overrides)
    notes = load_weights(model, path, CLASSES)
    assert notes[1].endswith(f"so that it is taken from here: weights_colours={said}")
    assert notes[2:] == (unnamed if project == "detectron2" else [])
    assert torch.equal(model.backbone.conv1.weight, stem.flip(1) if turned else stem)
    for colours, wanted in (("rgb", stem), ("bgr", stem.flip(1))):
        load_weights(model, path, CLASSES, colours)  # type: ignore[arg-type]
        assert torch.equal(model.backbone.conv1.weight, wanted)


def test_other_conventions_are_refused_with_the_overrides(tmp_path: Path) -> None:
    path = save(make_state("mmdetection"), "mmdetection", tmp_path)
    model = make_model(
        "pooler=torchvision", "model.anchors.rounded=true", "model.anchors.measured_strides=true",
        "model.backbone.norm_eps=0.001",
    )  # fmt: skip
    with pytest.raises(
        ValueError,
        match=r"add model\.pooler\.aligned=true model\.anchors\.rounded=false model\.anchors\.measured_strides=false "
        r"model\.backbone\.norm_eps=1e-05$",
    ):
        load_weights(model, path, CLASSES)


def test_a_backbone_of_detectron2_fills_the_backbone(tmp_path: Path) -> None:
    state = make_state("detectron2")
    prefix = "backbone.bottom_up."
    backbone = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    path = save({**backbone, "stem.fc.weight": np.zeros((10, 2048), np.float32)}, "detectron2", tmp_path)
    model, other = make_model(*CAFFE), make_model(*CAFFE)
    assert load_weights(model, path, CLASSES)[0] == f"loaded {len(backbone)} tensors from {path}"
    load_weights(other, save(state, "detectron2", tmp_path), CLASSES)
    for key, value in other.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[key], value)


# Parts that only some models have: their names, in the order of ours.
OPTIONAL = {
    DETECTRON2.project: [
        "backbone.fpn_lateral2.norm.weight", "backbone.fpn_output5.norm.bias",
        "proposal_generator.rpn_head.conv.conv1.bias", "roi_heads.box_head.conv1.weight",
        "roi_heads.box_head.conv2.weight", "roi_heads.box_head.conv2.norm.weight",
        "roi_heads.box_head.fc1.weight", "roi_heads.box_head.fc2.bias", "roi_heads.mask_head.mask_fcn4.norm.weight",
    ],
    MMDETECTION.project: [
        "neck.lateral_convs.0.gn.weight", "neck.fpn_convs.3.gn.bias", "rpn_head.rpn_conv.1.conv.bias",
        "roi_head.bbox_head.shared_convs.0.conv.weight", "roi_head.bbox_head.shared_convs.1.conv.weight",
        "roi_head.bbox_head.shared_convs.1.gn.weight", "roi_head.bbox_head.shared_fcs.0.weight",
        "roi_head.bbox_head.shared_fcs.1.bias", "roi_head.mask_head.convs.3.gn.weight",
    ],
}  # fmt: skip


@pytest.mark.parametrize("layout", [DETECTRON2, MMDETECTION], ids=lambda one: one.project)
def test_norms_and_further_layers_have_their_places(layout: Layout) -> None:
    found = convert(layout, {key: torch.zeros(1) for key in OPTIONAL[layout.project]}, [])
    assert list(found) == [
        "neck.lateral.0.1.weight", "neck.output.3.1.bias", "rpn.conv.1.0.bias", "box_head.trunk.0.0.weight",
        "box_head.trunk.1.0.weight", "box_head.trunk.1.1.weight", "box_head.trunk.2.1.weight",
        "box_head.trunk.2.3.bias", "mask_head.convs.3.1.weight",
    ]  # fmt: skip
    model = make_model(
        "box_head=conv_fc", "model.box_head.trunk.channels=[8,8]", "model.box_head.trunk.features=[8,8]",
        "model.box_head.trunk.norm=group", "model.neck.norm=group", "model.rpn.convs=2", "model.mask_head.norm=group",
    )  # fmt: skip
    assert found.keys() <= model.state_dict().keys()


@pytest.mark.parametrize("norm", ["bn", "gn"])
def test_a_backbone_of_mmdetection_has_its_norms_under_either_name(norm: str) -> None:
    theirs = ["conv1.weight", f"{norm}1.weight", f"layer1.0.{norm}3.bias", "layer4.0.downsample.1.weight"]
    found = convert(MMDETECTION, {f"backbone.{key}": torch.zeros(1) for key in theirs}, [])
    ours = ["conv1.weight", "bn1.weight", "layer1.0.bn3.bias", "layer4.0.downsample.1.weight"]
    assert list(found) == [f"backbone.{key}" for key in ours]


@pytest.mark.parametrize(
    "project, renamed, unread",
    [
        ("detectron2", (r"roi_heads\.box_head\.", "roi_heads.box_head.0."), "roi_heads.box_head.0.fc1.weight"),
        ("detectron2", (r"backbone\.bottom_up\.", "backbone."), "backbone.stem.conv1.weight"),  # C4 and DC5
        ("detectron2", (r"backbone\.bottom_up\.", "backbone.net."), "backbone.net.stem.conv1.weight"),
        ("mmdetection", (r"roi_head\.bbox_head\.", "roi_head.bbox_head.0."), "roi_head.bbox_head.0.fc_cls.weight"),
        ("mmdetection", (r"roi_head\.", ""), "bbox_head.fc_cls.weight"),  # of version 1
        ("mmdetection", (r"backbone\.", "backbone.stages."), "backbone.stages.conv1.weight"),
        ("mmdetection", (r"layer2\.0\.conv2\.", "layer2.0.conv2.conv_offset."), "conv_offset.weight"),
    ],
)
def test_other_models_of_a_project_are_refused_by_what_they_have(
    tmp_path: Path, project: str, renamed: tuple[str, str], unread: str
) -> None:
    state = {re.sub(*renamed, key): value for key, value in make_state(project).items()}
    path = save(state, project, tmp_path)
    with pytest.raises(
        ValueError,
        match=rf"^weights={re.escape(path)}: \S*{unread}.* have no place in {PROJECTS[project]} as it is read here; ",
    ):
        load_weights(make_model(*OVERRIDES[project]), path, CLASSES)


def test_a_file_without_masks_is_refused_for_it(tmp_path: Path) -> None:
    state = {key: value for key, value in make_state("detectron2").items() if "mask_head" not in key}
    path = save(state, "detectron2", tmp_path)
    with pytest.raises(ValueError, match=r"of another architecture: it has no mask_head\. Use"):
        load_weights(make_model(*CAFFE), path, CLASSES)


def test_the_prefix_of_data_parallel_is_no_matter(tmp_path: Path) -> None:
    state = make_state("mmdetection")
    path = save({f"module.{key}": value for key, value in state.items()}, "mmdetection", tmp_path)
    model = make_model()
    assert load_weights(model, path, CLASSES)[0] == f"loaded {len(model.state_dict())} tensors from {path}"
    assert torch.equal(model.backbone.conv1.weight, torch.from_numpy(state["backbone.conv1.weight"]))


def test_a_pickle_that_could_run_code_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": {"a": Path}}))
    with pytest.raises(ValueError, match=r"and was not opened: it could run code \(pathlib"):
        load_weights(make_model(), str(path), CLASSES)
    path.write_bytes(pickle.dumps({"model": np.zeros(3)})[:-20])
    with pytest.raises(ValueError, match=r"model_final\.pkl is not a file of weights, or it is "):
        load_weights(make_model(), str(path), CLASSES)


@pytest.mark.parametrize("meta", [{"CLASSES": ("e", "d", "c", "b", "a")}, {"dataset_meta": {"classes": [*"edcba"]}}])
def test_mmdetections_files_say_their_classes(tmp_path: Path, meta: dict[str, Any]) -> None:
    tensors = {key: torch.from_numpy(value) for key, value in make_state("mmdetection").items()}
    torch.save({"meta": meta, "state_dict": tensors}, tmp_path / "epoch_1.pth")
    model = make_model()
    three = "box_head.deltas, box_head.logits, mask_head.logits"
    kept = f"{three} keep the rows of a, b, c, d, e: the file is for e, d, c, b, a"
    assert load_weights(model, str(tmp_path / "epoch_1.pth"), CLASSES)[2:] == [kept]
    rows = [4, 3, 2, 1, 0, 5]
    assert torch.equal(model.box_head.logits.weight, tensors["roi_head.bbox_head.fc_cls.weight"][rows])
    assert load_weights(model, str(tmp_path / "epoch_1.pth"), dict.fromkeys("edcba", 0))[2:] == []
