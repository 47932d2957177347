"""Recorded inference and training: on a GPU, bit for bit what plain work gives; what is recorded when, anywhere."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.engine import recordings
from maskrcnn.engine.detector import detect
from maskrcnn.engine.module import mean_losses
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.engine.recorded_losses import RecordedLosses
from maskrcnn.engine.recordings import Recordings, key_of
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Detections, Losses, Targets

BuildModel = Callable[..., MaskRCNN]
MakeBatch = Callable[..., Batch]
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def test_the_first_keys_that_come_twice_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MOST", 2)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    kept: Recordings[str] = Recordings()
    made: list[str] = []

    def come(key: str) -> str | None:
        return kept.find(key, lambda pool: made.append(f"{key} in {pool}") or f"recording of {key}")  # type: ignore[func-returns-value]

    assert [come(key) for key in "aabbcca"] == [
        None, "recording of a", None, "recording of b", None, None, "recording of a"
    ]  # fmt: skip
    assert made == ["a in pool", "b in pool"]
    kept.forget()
    assert come("c") is None and come("c") == "recording of c"


def test_a_recording_is_of_shapes_weights_and_what_learns(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model(), make_batch([3, 1])
    first = key_of(model, batch)
    assert key_of(model, make_batch([0, 2])) == first
    assert key_of(model, make_batch([3, 1], slots=7)) != first
    assert key_of(copy.deepcopy(model), batch) != first
    model.mask_head.eval()
    assert key_of(model, batch) != first
    model.mask_head.train()
    assert key_of(model, batch) == first
    next(model.rpn.parameters()).requires_grad_(False)
    assert key_of(model, batch) != first


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
    assert len(recorded.recordings.kept) == 1 and None not in recorded.recordings.kept.values()
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
    assert len(recorded.recordings.kept) == 1 and None not in recorded.recordings.kept.values()
    for mine, theirs in zip(found, wanted, strict=True):
        assert torch.equal(mine, theirs)


@on_gpu
def test_training_that_waits_is_refused(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model("model.pooler.sampling=0").cuda(), to_cuda(make_batch([3, 1]))
    with pytest.raises(
        ValueError, match="cuda_graphs=true, but a part of the model waits for the GPU .*cuda_graphs=false"
    ):
        RecordedLosses()(model, batch)
