"""The whole model against torchvision's Mask R-CNN, with the same weights and pictures (tests/golden/README.md)."""

import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.module import mean_losses
from maskrcnn.modeling.layouts import TORCHVISION, rename
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.weights import load_weights
from maskrcnn.ops.boxes import iou
from maskrcnn.ops.paste import paste_crop
from maskrcnn.structures import MASK_CROP, Batch, Detections, Proposals, Targets

GOLDEN = Path(__file__).parent.parent / "golden"
PAPER = [
    "backbone=resnet50", "neck=fpn", "anchors=coco", "rpn=paper", "sampler=paper", "pooler=torchvision",
    "box_head=fc", "mask_head=fcn", "model.anchors.rounded=true", "model.anchors.measured_strides=true",
    "model.backbone.norm=frozen", "model.backbone.frozen_stages=2",
    "model.box_head.pre_nms=5000", "model.box_head.max_detections=100",
]  # fmt: skip
SATURATED = [
    "model.rpn.batch_per_image=1000000", "model.sampler.batch_per_image=1000000", "model.sampler.positive_fraction=0.5",
    "model.sampler.mask_slots=1000000", "model.rpn.train_pre_nms=500", "model.rpn.train_post_nms=300",
]  # fmt: skip


class Setting(NamedTuple):
    golden: dict[str, np.ndarray]
    images: Tensor  # [2, 3, H, W] float 0..255
    image_sizes: Tensor
    scales: list[tuple[float, float]]  # resized / original, along y and x


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shapes = json.loads((GOLDEN / "torchvision_maskrcnn_r50_fpn_keys.json").read_text())
    state = {key: torch.from_numpy(module.golden_array(key, shape)) for key, shape in shapes.items()}
    path = tmp_path_factory.mktemp("weights") / "torchvision.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def setting() -> Setting:
    with np.load(GOLDEN / "torchvision_maskrcnn_r50_fpn.npz") as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    _, _, height, width = golden["batched_shape"].tolist()
    images = torch.zeros(2, 3, height, width)
    sizes, scales = golden["resized_sizes"].tolist(), []
    for i, (h, w) in enumerate(sizes):
        pixels = torch.from_numpy(golden[f"image{i}"]).permute(2, 0, 1)[None].float()
        images[i, :, :h, :w] = F.interpolate(pixels, size=(h, w), mode="bilinear", align_corners=False)[0]
        scales.append((h / pixels.shape[2], w / pixels.shape[3]))
    return Setting(golden, images, torch.tensor(sizes), scales)


def make_model(weights_file: Path, overrides: list[str]) -> MaskRCNN:
    model = build(to_plain(compose([*PAPER, *overrides]))["model"], [])(5, 3)
    load_weights(model, str(weights_file), {f"class {id_}": id_ for id_ in range(1, 6)})
    return model


@pytest.fixture(scope="module")
def model(weights_file: Path) -> MaskRCNN:
    return make_model(weights_file, []).eval()


@pytest.fixture(scope="module")
def features(model: MaskRCNN, setting: Setting) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return model.extract(model.normalise(setting.images, setting.image_sizes))


def sample(x: Tensor, count: int) -> np.ndarray:
    flat = x.detach().reshape(-1).numpy()
    return flat[np.linspace(0, flat.size - 1, count).astype(np.int64)]


def assert_close_to_its_spread(got: np.ndarray, want: np.ndarray) -> None:
    assert np.abs(got - want).max() <= 1e-3 * want.std()


def test_input(model: MaskRCNN, setting: Setting) -> None:
    pixels = model.normalise(setting.images, setting.image_sizes).double()
    want = setting.golden["input_checksum"]
    np.testing.assert_allclose([pixels.sum().item(), pixels.abs().sum().item()], want, rtol=1e-4)


def test_pyramid(features: tuple[Tensor, ...], setting: Setting) -> None:
    for level, name in zip(features, ("0", "1", "2", "3", "pool"), strict=True):
        assert list(level.shape) == setting.golden[f"fpn_{name}_shape"].tolist()
        assert_close_to_its_spread(sample(level, 257), setting.golden[f"fpn_{name}_sample"])


def test_rpn(model: MaskRCNN, features: tuple[Tensor, ...], setting: Setting) -> None:
    with torch.no_grad():
        output = model.score_anchors(features)
    per_cell = model.anchors.per_cell
    for i, (scores, deltas, level) in enumerate(zip(output.objectness, output.deltas, features)):
        h, w = level.shape[-2:]
        as_maps = scores.view(2, h, w, per_cell).permute(0, 3, 1, 2)
        assert_close_to_its_spread(sample(as_maps, 129), setting.golden[f"rpn_logits_{i}_sample"])
        as_maps = deltas.reshape(2, h, w, per_cell * 4).permute(0, 3, 1, 2)
        assert_close_to_its_spread(sample(as_maps, 129), setting.golden[f"rpn_deltas_{i}_sample"])


def assert_same_boxes(got: Tensor, want: Tensor, tolerance: float) -> None:
    """The same boxes in the same order, but adjacent near-ties may have changed places."""
    assert got.shape == want.shape
    far = (got - want).abs().amax(dim=1) > tolerance
    for i in far.nonzero().flatten().tolist():
        nearby = got[max(i - 1, 0) : i + 2]
        assert (nearby - want[i]).abs().amax(dim=1).min() <= tolerance, f"box {i}: {got[i]} is not {want[i]}"


def test_proposals_and_box_head(model: MaskRCNN, features: tuple[Tensor, ...], setting: Setting) -> None:
    with torch.no_grad():
        proposals = model.rpn.propose(model.score_anchors(features), setting.image_sizes, training=False)
        for i in range(2):
            want = torch.from_numpy(setting.golden[f"proposals{i}"])
            assert_same_boxes(proposals.boxes[i][proposals.valid[i]], want, 0.05)
        first = torch.from_numpy(setting.golden["proposals0"])[:32]
        pooled = model.pooler(model.pooler.table(features), torch.zeros(32, dtype=torch.int64), first, 7)
        prediction = model.box_head(pooled)
    logits = torch.from_numpy(setting.golden["box_cls_logits_first32"])
    logits = torch.cat((logits[:, 1:], logits[:, :1]), dim=1)  # torchvision's background comes first
    assert_close_to_its_spread(prediction.logits.numpy(), logits.numpy())
    deltas = setting.golden["box_deltas_first32"].reshape(32, 6, 4)[:, 1:]
    assert_close_to_its_spread(prediction.deltas.numpy(), deltas)


def test_detections_and_masks(model: MaskRCNN, setting: Setting) -> None:
    with torch.no_grad():
        found: Detections = model.detect(setting.images, setting.image_sizes)
    for i in range(2):
        valid = found.valid[i]
        want = {
            k: setting.golden[f"det{i}_{k}"] for k in ("boxes_resized_frame", "boxes", "scores", "labels", "mask_area")
        }
        boxes, scores = found.boxes[i][valid], found.scores[i][valid]
        assert_same_boxes(boxes, torch.from_numpy(want["boxes_resized_frame"]), 0.05)
        np.testing.assert_allclose(scores.numpy(), want["scores"], rtol=0, atol=1e-4)
        assert sorted(found.labels[i][valid].tolist()) == sorted((want["labels"] - 1).tolist())
        size = setting.golden[f"image{i}"].shape[:2]
        y, x = setting.scales[i]
        original = boxes / torch.tensor([x, y, x, y])
        for box, label, mask in zip(original, found.labels[i][valid], found.masks[i][valid]):
            # By box and label, since near-ties may have changed places.
            distance = np.abs(want["boxes"] - box.numpy()).max(axis=1) + 1e3 * (want["labels"] - 1 != label.item())
            area = int(want["mask_area"][distance.argmin()])
            crop = paste_crop(mask.numpy(), box.numpy(), size, "integer").values
            assert abs(int(crop.sum()) - area) <= max(3, 0.01 * area)


def crop_bitmap(mask: np.ndarray) -> tuple[list[float], Tensor]:
    import cv2

    rows, columns = np.nonzero(mask)
    y1, y2, x1, x2 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    crop = mask[y1:y2, x1:x2].astype(np.uint8) * 255
    return [x1, y1, x2, y2], torch.from_numpy(cv2.resize(crop, (MASK_CROP, MASK_CROP), interpolation=cv2.INTER_LINEAR))


def make_batch(setting: Setting) -> Batch:
    golden = setting.golden
    slots = max(len(golden[f"gt{i}_boxes"]) for i in range(2)) + 1
    targets = Targets(
        torch.zeros(2, slots, 4),
        torch.zeros(2, slots, dtype=torch.int64),
        torch.zeros(2, slots, MASK_CROP, MASK_CROP, dtype=torch.uint8),
        torch.full((2, slots, 2), MASK_CROP),
        torch.zeros(2, slots, dtype=torch.bool),
    )
    for i, (y, x) in enumerate(setting.scales):
        boxes = torch.from_numpy(golden[f"gt{i}_boxes"]).float() * torch.tensor([x, y, x, y])
        shape = golden[f"gt{i}_masks_shape"].tolist()
        masks = np.unpackbits(golden[f"gt{i}_masks_packed"])[: np.prod(shape)].reshape(shape)
        h, w = setting.image_sizes[i].tolist()
        # torchvision resizes ground-truth bitmaps to the picture's size by nearest neighbour.
        resized = F.interpolate(torch.from_numpy(masks)[:, None].float(), size=(h, w))[:, 0].numpy() > 0.5
        n = len(boxes)
        targets.boxes[i, :n] = boxes
        targets.labels[i, :n] = torch.from_numpy(golden[f"gt{i}_labels"]).long() - 1
        targets.valid[i, :n] = True
        for j, bitmap in enumerate(resized):
            targets.masks[i, j] = recrop(bitmap, boxes[j])
    index = torch.arange(2)
    return Batch(setting.images, setting.image_sizes, setting.image_sizes, index, index, targets)


def recrop(bitmap: np.ndarray, box: Tensor) -> Tensor:
    """A bitmap as MASK_CROP x MASK_CROP cells of a box that need not be the bitmap's own extent."""
    from maskrcnn.ops.masks import crop_masks

    h, w = bitmap.shape
    side = max(h, w)
    square = torch.zeros(1, side, side)
    square[0, :h, :w] = torch.from_numpy(bitmap).float()
    frame = torch.tensor([[0.0, 0, side, side]])
    cells = crop_masks(square, torch.tensor([[side, side]]), frame, box[None], MASK_CROP, 1)[0]
    return (cells * 255).round().to(torch.uint8)


def test_training_step_with_saturated_samplers(weights_file: Path, setting: Setting) -> None:
    golden = setting.golden
    model = make_model(weights_file, SATURATED)
    batch = make_batch(setting)
    with torch.no_grad():
        output = model.score_anchors(model.extract(model.normalise(batch.images, batch.image_sizes)))
        proposals: Proposals = model.rpn.propose(output, batch.image_sizes, training=True)
        for i in range(2):
            got = proposals.boxes[i][proposals.valid[i]]
            assert_same_boxes(got, torch.from_numpy(golden[f"train_proposals{i}"]), 0.05)
        targets = model.prepare_targets(batch.targets)
        chosen = model.sampler.mask_samples(model.sampler(proposals, targets, batch.keys), batch.keys)
        wanted = model.mask_head.targets(chosen, targets)
        for i in range(2):
            rois = torch.from_numpy(golden[f"mask_rois{i}"])
            mine = chosen.valid & (chosen.images == i)
            assert mine.sum() == len(rois)
            overlap = iou(rois[:, None], chosen.boxes[mine][None])
            assert overlap.amax(dim=1).min() > 0.99
            ours = wanted[mine][overlap.argmax(dim=1)]
            assert (ours - torch.from_numpy(golden[f"mask_targets{i}"])).abs().mean() < 0.03
    losses = mean_losses(model(batch))
    names = {
        "rpn_objectness": "loss_loss_objectness", "rpn_box": "loss_loss_rpn_box_reg",
        "classification": "loss_loss_classifier", "box": "loss_loss_box_reg",
    }  # fmt: skip
    for ours, theirs in names.items():
        np.testing.assert_allclose(losses[ours].item(), golden[theirs], rtol=1e-4, err_msg=ours)
    np.testing.assert_allclose(losses["mask"].item(), golden["loss_loss_mask"], rtol=2e-3)
    torch.stack(list(losses.values())).sum().backward()
    assert_gradient_norms(model, golden)


def assert_gradient_norms(model: MaskRCNN, golden: dict[str, np.ndarray]) -> None:
    """Norms by torchvision's names; the rows that its predictors have and ours lack add less than the tolerance."""
    ours = dict(model.named_parameters())
    for name, norm in zip(golden["grad_names"].tolist(), golden["grad_norms"].tolist()):
        gradient = ours[rename(TORCHVISION, str(name))].grad
        assert gradient is not None
        np.testing.assert_allclose(gradient.norm().item(), norm, rtol=1e-2, err_msg=str(name))
