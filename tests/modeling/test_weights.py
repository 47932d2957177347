"""Weights from elsewhere: both spellings, other classes, conventions, downloads, and what is refused."""

import functools
import hashlib
import http.server
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.modeling import weights as module
from maskrcnn.modeling.layouts import COCO_IDS, TORCHVISION, convert
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.weights import Published, load_weights

GOLDEN = Path(__file__).parent.parent / "golden"
CONVENTIONS = ["pooler=torchvision", "model.anchors.rounded=true", "model.anchors.measured_strides=true"]
PAPER = [
    "backbone=resnet50", "neck=fpn", "anchors=coco", "rpn=paper", "sampler=paper", "box_head=fc", "mask_head=fcn",
    "model.backbone.norm=frozen",
]  # fmt: skip


def make_model(classes: int, *overrides: str) -> MaskRCNN:
    return build(to_plain(compose([*PAPER, *overrides]))["model"], [])(classes, 3)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    shapes = json.loads((GOLDEN / "torchvision_maskrcnn_r50_fpn_keys.json").read_text())
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "weights.py")
    assert spec is not None and spec.loader is not None
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    return {key: torch.from_numpy(golden.golden_array(key, shape)) for key, shape in shapes.items()}


def save(state: dict[str, Tensor], path: Path) -> str:
    torch.save(state, path)
    return str(path)


def named(*ids: int) -> dict[str, int]:
    return {f"class {id_}": id_ for id_ in ids}


def test_the_background_moves_to_the_end_and_its_boxes_and_masks_go(state: dict[str, Tensor], tmp_path: Path) -> None:
    model = make_model(5, *CONVENTIONS)
    notes = load_weights(model, save(state, tmp_path / "w.pth"), named(1, 2, 3, 4, 5))
    assert notes == [
        f"loaded {len(model.state_dict())} tensors from {tmp_path}/w.pth",
        "the file does not name its classes: they are taken for class 1, class 2, class 3, class 4, class 5, "
        "in this order",
    ]
    theirs = state["roi_heads.box_predictor.cls_score.weight"]
    assert torch.equal(model.box_head.logits.weight, torch.cat((theirs[1:], theirs[:1])))
    assert torch.equal(model.box_head.deltas.weight, state["roi_heads.box_predictor.bbox_pred.weight"][4:])
    assert torch.equal(model.mask_head.logits.weight, state["roi_heads.mask_predictor.mask_fcn_logits.weight"][1:])


def test_old_names_load_the_same(state: dict[str, Tensor], tmp_path: Path) -> None:
    old = {}
    for key, value in state.items():
        key = key.replace("inner_blocks.", "inner_blocks.").replace("rpn.head.conv.0.0", "rpn.head.conv")
        if "blocks" in key:
            key = key.replace(".0.weight", ".weight").replace(".0.bias", ".bias") if key.count(".") > 4 else key
        if key.startswith("roi_heads.mask_head."):
            number, leaf = key.split(".")[2], key.split(".")[-1]
            key = f"roi_heads.mask_head.mask_fcn{int(number) + 1}.{leaf}"
        old[key] = value
    assert old.keys() != state.keys()
    new_model, old_model = make_model(5, *CONVENTIONS), make_model(5, *CONVENTIONS)
    load_weights(new_model, save(state, tmp_path / "new.pth"), named(1, 2, 3, 4, 5))
    load_weights(old_model, save(old, tmp_path / "old.pth"), named(1, 2, 3, 4, 5))
    for a, b in zip(new_model.state_dict().values(), old_model.state_dict().values()):
        assert torch.equal(a, b)


def test_other_classes_start_the_predictors_anew_and_keep_the_rest(state: dict[str, Tensor], tmp_path: Path) -> None:
    model = make_model(3, *CONVENTIONS)
    before = model.box_head.logits.weight.clone()
    notes = load_weights(model, save(state, tmp_path / "w.pth"), named(1, 2, 3))
    assert (
        notes[1]
        == "box_head.deltas, box_head.logits, mask_head.logits start anew: the file is for another number of classes"
    )
    assert torch.equal(model.box_head.logits.weight, before)
    assert torch.equal(model.rpn.objectness.weight, state["rpn.head.cls_logits.weight"])


def test_cocos_raw_ids_are_picked(state: dict[str, Tensor]) -> None:
    wide = dict(state)
    for name, rows in (
        ("box_predictor.cls_score", 1),
        ("box_predictor.bbox_pred", 4),
        ("mask_predictor.mask_fcn_logits", 1),
    ):
        for leaf in ("weight", "bias"):
            old = state[f"roi_heads.{name}.{leaf}"]
            ids = torch.arange(91.0).repeat_interleave(rows)
            wide[f"roi_heads.{name}.{leaf}"] = (
                ids.view(-1, *[1] * (old.dim() - 1)).expand(-1, *old.shape[1:]).contiguous()
            )
    converted = convert(TORCHVISION, wide, list(COCO_IDS))
    assert converted["box_head.logits.bias"].tolist() == [*COCO_IDS, 0]
    assert converted["mask_head.logits.bias"].tolist() == COCO_IDS
    assert converted["box_head.deltas.bias"].view(80, 4)[:, 2].tolist() == COCO_IDS


def test_a_classifier_fills_the_backbone(state: dict[str, Tensor], tmp_path: Path) -> None:
    body = {k.removeprefix("backbone.body."): v for k, v in state.items() if k.startswith("backbone.body.")}
    path = save({**body, "fc.weight": torch.zeros(10, 2048), "fc.bias": torch.zeros(10)}, tmp_path / "r50.pth")
    model = make_model(2)
    assert load_weights(model, path, named(1, 2)) == [f"loaded {len(body)} tensors from {path}"]
    assert torch.equal(model.backbone.conv1.weight, body["conv1.weight"])


def test_the_weights_of_a_loop_of_the_users_own_load(tmp_path: Path) -> None:
    first, second = make_model(2), make_model(2)
    torch.save(first.state_dict(), tmp_path / "own.pth")
    load_weights(second, str(tmp_path / "own.pth"), named(1, 2))
    found = second.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in first.state_dict().items())


def test_weights_that_are_not_finite_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    key = "backbone.body.layer1.0.conv1.weight"
    path = save({**state, key: state[key] * float("nan")}, tmp_path / "nan.pth")
    with pytest.raises(ValueError, match=r"nan\.pth: backbone\.layer1\.0\.conv1\.weight holds NaN or infinity"):
        load_weights(make_model(5, *CONVENTIONS), path, named(1, 2, 3, 4, 5))


def test_what_does_not_fit_is_refused_with_the_remedy(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(state, tmp_path / "w.pth")
    with pytest.raises(
        ValueError,
        match=r"add model\.pooler\.aligned=false model\.pooler\.sampling=2 model\.anchors\.rounded=true "
        r"model\.anchors\.measured_strides=true$",
    ):
        load_weights(make_model(5), path, named(1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"of another architecture: backbone\.layer3\.6\."):
        load_weights(make_model(5, *CONVENTIONS, "backbone=resnet101"), path, named(1, 2, 3, 4, 5))
    second = {**state, "backbone.fpn.inner_blocks.0.1.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match="maskrcnn_resnet50_fpn_v2"):
        load_weights(make_model(5), save(second, tmp_path / "v2.pth"), named(1))
    with pytest.raises(
        ValueError,
        match=r"neither a checkpoint of this project, nor weights of torchvision's Mask R-CNN V1, .* keys like a, b$",
    ):
        load_weights(make_model(5), save({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "x.pth"), named(1))
    boxes = {key: value for key, value in state.items() if ".mask_" not in key}
    with pytest.raises(ValueError, match=r"of another architecture: it has no mask_head\."):
        load_weights(make_model(5, *CONVENTIONS), save(boxes, tmp_path / "faster.pth"), named(1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match="no such file, nor a known name; known are resnet18_imagenet"):
        load_weights(make_model(5), "resnet51_imagenet", named(1))
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "best.ckpt").touch()
    for folder, said in (
        (".", "in it$"),
        ("run", "in it, such as .*/run/checkpoints/best"),
        ("run/checkpoints", ".*/run/checkpoints/best"),
    ):
        with pytest.raises(ValueError, match=f"is a folder; name a file {said}"):
            load_weights(make_model(5), str(tmp_path / folder), named(1))


@pytest.mark.parametrize("stem, key", [("conv7", "conv1.weight"), ("conv3x2", "conv1.0.weight")])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_grey_picture_answers_alike_when_colours_are_spread_over_any_number_of_channels(
    build_model: Callable[..., MaskRCNN], tmp_path: Path, stem: str, key: str, channels: int
) -> None:
    def make(count: int, seed: int) -> MaskRCNN:
        pixels = [f"model.pixel_mean={[100.0] * count}", f"model.pixel_std={[50.0] * count}"]
        return build_model(f"model.backbone.stem={stem}", *pixels, seed=seed, image_channels=count).double().eval()

    colours, other = make(3, 0), make(channels, 1)
    state = {f"model.{name}": value for name, value in colours.state_dict().items()}
    torch.save({"maskrcnn": {"classes": [*named(1, 2, 3, 4)]}, "state_dict": state}, tmp_path / "rgb.ckpt")
    notes = load_weights(other, str(tmp_path / "rgb.ckpt"), named(1, 2, 3, 4))
    assert notes[1] == (
        f"backbone.{key} reads {channels} channels instead of RGB: "
        f"each with the mean of the three weights, times 3/{channels}"
    )
    mean = colours.get_parameter(f"backbone.{key}").mean(dim=1) * 3 / channels
    for i in range(channels):
        torch.testing.assert_close(other.get_parameter(f"backbone.{key}")[:, i], mean)
    grey = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 255
    size = torch.tensor([[50, 70]])
    answers = [
        model.extract(model.normalise(grey.expand(-1, count, -1, -1), size))
        for model, count in ((colours, 3), (other, channels))
    ]
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-12, atol=1e-12)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_downloads_are_checked_cached_and_explained_when_offline(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    content = tmp_path / "content.pth"
    torch.save({"x": torch.ones(1)}, content)
    digest = hashlib.sha256(content.read_bytes()).hexdigest()[:8]
    (tmp_path / "served" / f"good-{digest}.pth").write_bytes(content.read_bytes())
    (tmp_path / "served" / "bad-00000000.pth").write_bytes(content.read_bytes())
    known = {
        "good": Published(f"{server}/good-{digest}.pth", 1e-5),
        "bad": Published(f"{server}/bad-00000000.pth", 1e-5),
        "gone": Published(f"{server}/gone-00000000.pth", 1e-5),
    }
    monkeypatch.setattr(module, "PUBLISHED", known)
    path = module.fetch("good")
    assert (
        path == tmp_path / "cache" / "checkpoints" / f"good-{digest}.pth" and path.read_bytes() == content.read_bytes()
    )
    (tmp_path / "served" / f"good-{digest}.pth").unlink()
    assert module.fetch("good") == path  # from the cache
    with pytest.raises(ValueError, match="not the published file"):
        module.fetch("bad")
    with pytest.raises(
        ValueError, match=r"cannot be reached .* Put the file at .*cache/checkpoints/gone-00000000\.pth"
    ):
        module.fetch("gone")
    left = {p.name for p in path.parent.iterdir() if p.suffix != ".lock"}
    assert left == {path.name}  # nothing half-written


def test_a_named_file_carries_its_epsilon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]
) -> None:
    monkeypatch.setattr(module, "fetch", lambda name: Path(save(state, tmp_path / f"{name}.pth")))
    with pytest.raises(ValueError, match=r"add model\.backbone\.norm_eps=0\.0$"):
        load_weights(make_model(5, *CONVENTIONS), "maskrcnn_resnet50_fpn_coco", named(1, 2, 3, 4, 5))


def test_a_published_file_is_known_by_its_own_name(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(state, tmp_path / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth")
    with pytest.raises(ValueError, match=r"add model\.backbone\.norm_eps=0\.0$"):
        load_weights(make_model(5, *CONVENTIONS), path, named(1, 2, 3, 4, 5))
