"""Recorded inference and training: on a GPU, bit for bit what plain work gives; what is recorded when, anywhere."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.engine import recorded_detect, recordings
from maskrcnn.engine.detector import detect
from maskrcnn.engine.module import mean_losses
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.engine.recorded_losses import RecordedLosses
from maskrcnn.engine.recordings import Recordings, shape_of, state_of
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Detections, Losses, Targets

BuildModel = Callable[..., MaskRCNN]
MakeBatch = Callable[..., Batch]
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture
def no_gpu_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What recordings ask of CUDA, besides the recording itself."""
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "Stream", lambda: "stream")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: None)


def test_the_first_shapes_that_come_twice_are_recorded(monkeypatch: pytest.MonkeyPatch, no_gpu_needed: None) -> None:
    monkeypatch.setattr(recordings, "MOST", 2)
    kept: Recordings[str] = Recordings()

    def come(shapes: str, state: str = "weights") -> str:
        """Small: worked plainly; capital: recorded and replayed."""
        done = []
        for shape in shapes:
            made = lambda memory, shape=shape: f"{shape.upper()}{memory.pool}"  # noqa: E731
            done.append(kept.work(state, shape, lambda shape=shape: shape, made, lambda one: one[0]))  # type: ignore[misc]
        return "".join(done)

    assert come("xyaabbccaxb") == "xyaAbBccAxB"  # what comes once takes no place, and later ones find none
    assert kept.kept == {"a": "Apool", "b": "Bpool"} and kept.full
    assert come("ccab", "other weights") == "cCab"  # those from before are gone
    kept.forget()
    assert come("cc") == "cC"


def test_a_recording_that_fails_leaves_nothing_behind(no_gpu_needed: None) -> None:
    kept: Recordings[str] = Recordings()

    def fail(memory: object) -> str:
        raise RuntimeError("cannot be recorded")

    assert kept.work(1, "a", lambda: "plain", fail, str) == "plain"
    with pytest.raises(RuntimeError, match="cannot be recorded"):
        kept.work(1, "a", lambda: "plain", fail, str)
    assert kept.memory is None and not kept.kept
    assert kept.work(1, "a", lambda: "plain again", fail, str) == "plain again"


def test_recordings_are_of_weights_settings_and_what_learns(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model(), make_batch([3, 1])
    first = state_of(model)
    model(batch)
    assert state_of(model) == first
    assert state_of(copy.deepcopy(model)) != first
    model.mask_head.eval()
    assert state_of(model) != first
    model.mask_head.train()
    assert state_of(model) == first
    model.box_head.score_threshold += 0.1
    assert state_of(model) != first
    model.box_head.score_threshold -= 0.1
    next(model.rpn.parameters()).requires_grad_(False)
    assert state_of(model) != first
    assert shape_of(batch) == shape_of(make_batch([0, 2])) != shape_of(make_batch([3, 1], slots=7))


class StandIn:
    """In the place of a recording: works when it is replayed."""

    def __init__(self, model: MaskRCNN, inputs: Any, memory: object) -> None:
        self.model = model

    def replay(self, inputs: tuple[Tensor, Tensor]) -> Detections:
        return self.model.detect(*inputs)


def test_detections_are_cut_to_buckets_and_recorded_once_a_shape(
    build_model: BuildModel, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, no_gpu_needed: None
) -> None:
    monkeypatch.setattr(recorded_detect, "on_gpu", lambda images: True)
    monkeypatch.setattr(recorded_detect, "_Recording", StandIn)
    model = build_model("model.box_head.score_threshold=0.0", "model.box_head.max_detections=20").eval()
    recorded = RecordedDetect()
    for batch in (make_batch([3, 1]), make_batch([1, 0]), make_batch([0, 0])):
        found = recorded(model, batch.images, batch.image_sizes)
        wanted = detect(model, batch.images, batch.image_sizes)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, wanted, strict=True))
    assert len(recorded.recordings.kept) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("called a synchronizing CUDA operation"), "the model waits for the GPU"),
        (torch.OutOfMemoryError(), ""),
    ],
)
def test_what_cannot_be_recorded_is_worked_plainly(
    build_model: BuildModel,
    make_batch: MakeBatch,
    monkeypatch: pytest.MonkeyPatch,
    no_gpu_needed: None,
    error: Exception,
    said: str,
) -> None:
    monkeypatch.setattr(recorded_detect, "on_gpu", lambda images: True)
    model, batch = build_model("model.box_head.score_threshold=0.0").eval(), make_batch([3, 1])
    wanted = detect(model, batch.images, batch.image_sizes)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(model, "detect", fail)
    recorded = RecordedDetect()
    with warnings.catch_warnings(record=True) as caught:
        found = [recorded(model, batch.images, batch.image_sizes) for _ in range(2)]
    assert [str(one.message)[: len(said)] for one in caught] == [said] * bool(said)
    for one in found:
        assert wanted.valid.any() and all(torch.equal(a, b) for a, b in zip(one, wanted, strict=True))


def test_on_a_cpu_nothing_is_recorded(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model("model.box_head.score_threshold=0.0").eval(), make_batch([3, 1])
    recorded = RecordedDetect()
    for _ in range(3):
        found = recorded(model, batch.images, batch.image_sizes)
    wanted = detect(model, batch.images, batch.image_sizes)
    assert wanted.valid.any() and not recorded.recordings.kept
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, wanted, strict=True))


def to_cuda(batch: Batch) -> Batch:
    *fields, targets, dropped = batch
    assert isinstance(targets, Targets)
    return Batch(*(field.cuda() for field in fields), Targets(*(field.cuda() for field in targets)), dropped.cuda())


@pytest.fixture
def repeatable(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def batches(make_batch: MakeBatch) -> list[Batch]:
    """Of one shape, but other pictures and numbers of objects."""
    counts = [[3, 1], [0, 2], [1, 1], [6, 0]]
    made = [make_batch(count) for count in counts]
    return [to_cuda(batch._replace(images=batch.images.roll(i, 0) ^ i)) for i, batch in enumerate(made)]


@on_gpu
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_replayed_detections_are_those_of_plain_work(
    build_model: BuildModel, make_batch: MakeBatch, repeatable: object, dtype: torch.dtype | None
) -> None:
    model = build_model("model.box_head.score_threshold=0.0").cuda().eval()
    recorded = RecordedDetect()
    for number, batch in enumerate([*batches(make_batch), *batches(make_batch)]):
        if number == 5:
            with torch.no_grad():
                model.box_head.logits.bias.add_(torch.arange(5, device="cuda"))  # as a step of training would
        with torch.inference_mode(), torch.autocast("cuda", dtype, enabled=dtype is not None):
            wanted: Detections = model.detect(batch.images, batch.image_sizes)
            found = recorded(model, batch.images, batch.image_sizes)
        assert wanted.valid.any()
        slots = found.valid.shape[1]
        for mine, theirs in zip(found, wanted, strict=True):
            assert torch.equal(mine, theirs[:, :slots])
        assert not wanted.valid[:, slots:].any()
    assert len(recorded.recordings.kept) == 1
    recorded.forget()
    assert not recorded.recordings.kept


@on_gpu
def test_inference_that_waits_is_worked_plainly(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model = build_model("model.box_head.score_threshold=0.0", "model.pooler.sampling=0").cuda().eval()
    batch, recorded = to_cuda(make_batch([3, 1])), RecordedDetect()
    with pytest.warns(UserWarning, match="the model waits for the GPU .* inference is not recorded"):
        first = recorded(model, batch.images, batch.image_sizes)
    second, third = (recorded(model, batch.images, batch.image_sizes) for _ in range(2))
    wanted = detect(model, batch.images, batch.image_sizes)
    for found in (first, second, third):
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, wanted, strict=True))
    assert torch.cuda.get_sync_debug_mode() == 0


@on_gpu
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_replayed_steps_are_those_of_plain_work(
    build_model: BuildModel, make_batch: MakeBatch, repeatable: object, dtype: torch.dtype | None
) -> None:
    plain = build_model().cuda()
    replayed = copy.deepcopy(plain)
    recorded = RecordedLosses()

    def learn(model: MaskRCNN, losses_of: Callable[[MaskRCNN, Batch], Losses], optimizer: Any) -> list[Tensor]:
        """Two micro-batches a step; the losses, and at the end the gradients and weights."""
        made = []
        for number, batch in enumerate(batches(make_batch) + batches(make_batch)):
            with torch.autocast("cuda", dtype, enabled=dtype is not None):
                losses = losses_of(model, batch)
                loss = torch.stack(list(mean_losses(losses).values())).sum() / 2
            made.append(loss.detach())
            loss.backward()
            if number % 2:
                made += [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
                optimizer.step()
                optimizer.zero_grad()
        return [*made, *(weight.detach() for weight in model.parameters())]

    wanted = learn(plain, lambda model, batch: model(batch), torch.optim.SGD(plain.parameters(), lr=0.01))
    found = learn(replayed, recorded, torch.optim.SGD(replayed.parameters(), lr=0.01))
    assert len(recorded.recordings.kept) == 1
    for mine, theirs in zip(found, wanted, strict=True):
        assert torch.equal(mine, theirs)


@on_gpu
def test_training_that_waits_is_refused(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model("model.pooler.sampling=0").cuda(), to_cuda(make_batch([3, 1]))
    with pytest.raises(
        ValueError, match="cuda_graphs=true, but a part of the model waits for the GPU .*cuda_graphs=false"
    ):
        RecordedLosses()(model, batch)
