"""The model as one graph: padding is harmless, batches are independent, compilation and export change nothing."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from maskrcnn.engine.detector import detect
from maskrcnn.engine.module import mean_losses
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.masks import crop_masks
from maskrcnn.structures import Batch, MaskSamples

BuildModel = Callable[..., MaskRCNN]
MakeBatch = Callable[..., Batch]


def losses_and_gradients(model: MaskRCNN, batch: Batch, forward: Callable[..., object] | None = None) -> list[Tensor]:
    model.zero_grad()
    losses = mean_losses((model if forward is None else forward)(batch))
    torch.stack(list(losses.values())).sum().backward()
    gradients = [p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in model.parameters()]
    return [*losses.values(), *gradients]


def assert_same_bits(a: list[Tensor], b: list[Tensor]) -> None:
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert all(x.isfinite().all() for x in a)


def test_junk_in_invalid_slots_and_in_the_padding_changes_no_bit(
    build_model: BuildModel, make_batch: MakeBatch
) -> None:
    model = build_model()
    clean = make_batch([3, 1], sizes=[(64, 96), (50, 70)])
    t = clean.targets
    junk_boxes = torch.tensor([[9.0, 9, 3, 3], [1e9, -1e9, 1e9, 1e9], [float("nan")] * 4, [float("inf"), 0, 5, 5]])
    boxes, labels, masks = t.boxes.clone(), t.labels.clone(), t.masks.clone()
    boxes[1, 2:] = junk_boxes
    labels[~t.valid] = 999
    masks[~t.valid] = 255
    mask_sizes = torch.where(t.valid[..., None], t.mask_sizes, -7)
    images = clean.images.clone()
    images[1, :, 50:] = 201
    images[1, :, :, 70:] = 77
    junk = clean._replace(
        images=images, targets=t._replace(boxes=boxes, labels=labels, masks=masks, mask_sizes=mask_sizes)
    )
    assert_same_bits(losses_and_gradients(model, clean), losses_and_gradients(model, junk))


def test_more_slots_change_no_loss(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model(), make_batch([3, 1])
    pad = (0, 0, 0, 5)
    t = batch.targets
    wider = t._replace(
        boxes=nn.functional.pad(t.boxes, pad),
        labels=nn.functional.pad(t.labels, (0, 5)),
        masks=nn.functional.pad(t.masks, (0, 0, 0, 0, 0, 5)),
        mask_sizes=nn.functional.pad(t.mask_sizes, pad),
        valid=nn.functional.pad(t.valid, (0, 5)),
    )
    before, after = mean_losses(model(batch)), mean_losses(model(batch._replace(targets=wider)))
    for name in ("rpn_objectness", "rpn_box"):  # the RoI sampler's noise belongs to slots, and there are more of them
        assert torch.equal(before[name], after[name])


def test_pictures_without_objects_give_finite_losses_and_gradients(
    build_model: BuildModel, make_batch: MakeBatch
) -> None:
    model = build_model()
    values = losses_and_gradients(model, make_batch([0, 0]))
    assert all(value.isfinite().all() for value in values)
    losses = mean_losses(model(make_batch([0, 0])))
    assert losses["rpn_box"] == 0 and losses["box"] == 0 and losses["mask"] == 0
    assert losses["rpn_objectness"] > 0 and losses["classification"] > 0


def test_losses_of_a_batch_are_those_of_its_images(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model("model.sampler.mask_slots=1000"), make_batch([3, 2])
    together = model(batch)
    singles = [model(Batch(*(_slice(field, i) for field in batch))) for i in range(2)]
    for name, loss in together._asdict().items():
        parts = [getattr(single, name) for single in singles]
        torch.testing.assert_close(loss.sum, parts[0].sum + parts[1].sum, rtol=1e-5, atol=1e-5)
        assert loss.count == parts[0].count + parts[1].count


def _slice(field: Tensor | tuple[Tensor, ...], i: int) -> Tensor | tuple[Tensor, ...]:
    if isinstance(field, Tensor):
        return field[i : i + 1]
    return type(field)(*(part[i : i + 1] for part in field))


def test_a_batch_of_two_equals_two_batches_of_one(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model = build_model().eval()
    batch = make_batch([0, 0], sizes=[(64, 96), (40, 80)])
    with torch.no_grad():
        together = model.detect(batch.images, batch.image_sizes)
        for i in range(2):
            alone = model.detect(batch.images[i : i + 1], batch.image_sizes[i : i + 1])
            assert together.valid[i].sum() > 3
            assert torch.equal(together.valid[i], alone.valid[0]) and torch.equal(together.labels[i], alone.labels[0])
            torch.testing.assert_close(together.boxes[i], alone.boxes[0], rtol=0, atol=1e-3)
            torch.testing.assert_close(together.scores[i], alone.scores[0], rtol=0, atol=1e-5)
            # oneDNN picks other kernels for one image than for two; random weights make mask logits of up to 17 here.
            torch.testing.assert_close(together.masks[i], alone.masks[0], rtol=0, atol=1e-4)


def test_cutting_empty_slots_changes_no_detection(build_model: BuildModel, make_batch: MakeBatch) -> None:
    few = (
        "model.box_head.max_detections=100",
        "model.box_head.nms_threshold=0.0",
        "model.box_head.score_threshold=0.4",
    )
    model = build_model(*few).eval()
    batch = make_batch([0, 0])
    with torch.no_grad():
        whole = model.detect(batch.images, batch.image_sizes)
    cut = detect(model, batch.images, batch.image_sizes)
    assert cut.valid.shape[1] < whole.valid.shape[1] and cut.valid.sum() == whole.valid.sum() > 0
    for a, b in zip(cut, whole):
        torch.testing.assert_close(a, b[:, : a.shape[1]], rtol=0, atol=1e-6)


def test_one_full_graph_for_any_number_of_objects(build_model: BuildModel, make_batch: MakeBatch) -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    model = build_model()
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for counts in ([3, 1], [5, 0], [0, 0]):
        batch = make_batch(counts)
        for got, want in zip(compiled(batch), model(batch)):
            assert torch.equal(got.sum, want.sum) and torch.equal(got.count, want.count)
    assert counter.frame_count == 1


@pytest.fixture
def two_threads() -> Iterator[None]:
    """One thread adds the gradients of three of the neck's biases in another order where a model is traced."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_aot_eager_gives_the_same_bits(build_model: BuildModel, make_batch: MakeBatch) -> None:
    torch._dynamo.reset()
    model, batch = build_model(), make_batch([3, 1])
    eager = losses_and_gradients(model, batch)
    compiled = losses_and_gradients(model, batch, torch.compile(model, fullgraph=True, backend="aot_eager"))
    assert_same_bits(eager, compiled)


@pytest.mark.slow
def test_inductor_agrees(build_model: BuildModel, make_batch: MakeBatch) -> None:
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("inductor needs a C++ compiler")
    torch._dynamo.reset()
    model, batch = build_model(), make_batch([3, 1])
    eager = losses_and_gradients(model, batch)
    compiled = losses_and_gradients(model, batch, torch.compile(model, fullgraph=True))
    for a, b in zip(eager, compiled, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


class Detector(nn.Module):
    """Inference as a module's forward, which is what torch.export takes."""

    def __init__(self, model: MaskRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, image_sizes: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.detect(images, image_sizes))  # a plain tuple, which reloads without our classes


RELOAD = """
import sys, torch
program = torch.export.load(sys.argv[1])
images, image_sizes = torch.load(sys.argv[2])
torch.save(list(program.module()(images, image_sizes)), sys.argv[3])
assert "maskrcnn" not in sys.modules
"""


def test_strict_export_reloads_in_a_fresh_process_without_this_package(
    build_model: BuildModel, make_batch: MakeBatch, tmp_path: Path
) -> None:
    model, batch = build_model().eval(), make_batch([0, 0])
    with torch.no_grad():
        program = torch.export.export(Detector(model), (batch.images, batch.image_sizes), strict=True)
        want = model.detect(batch.images, batch.image_sizes)
    paths = [str(tmp_path / name) for name in ("model.pt2", "inputs.pt", "outputs.pt")]
    torch.export.save(program, paths[0])
    torch.save((batch.images, batch.image_sizes), paths[1])
    subprocess.run([sys.executable, "-c", RELOAD, *paths], check=True, cwd=tmp_path)
    for got, expected in zip(torch.load(paths[2]), want, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_counts_are_those_of_the_losses(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model = build_model()
    for objects in ([3, 1], [0, 2], [0, 0]):
        batch = make_batch(objects)
        assert model.counts(batch).tolist() == [loss.count.item() for loss in model(batch)]


def test_targets_of_masks_are_their_crops_in_any_precision(build_model: BuildModel, make_batch: MakeBatch) -> None:
    head = build_model("model.mask_head.target_sampling=3").mask_head
    targets = make_batch([3, 2]).targets
    images, slots = torch.tensor([0, 1, 0]), torch.tensor([2, 1, 0])
    regions = targets.boxes[images, slots] + torch.tensor([-3.0, 2.0, 4.0, -1.0])
    samples = MaskSamples(images, regions, slots, slots, torch.ones(3, dtype=torch.bool))
    masks, sizes, boxes = (field[images, slots] for field in (targets.masks, targets.mask_sizes, targets.boxes))
    expected = crop_masks((masks == 255).float(), sizes, boxes, regions, 2 * head.pool_size, 3)
    assert expected.max() > 0.8
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head.targets(samples, targets), expected)
