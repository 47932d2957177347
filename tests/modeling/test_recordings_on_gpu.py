"""Recorded inference and training on a GPU: the bits of plain work, and what happens where recording fails."""

import copy
import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from maskrcnn.engine.detector import detect, trim
from maskrcnn.engine.module import mean_losses
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.engine.recorded_losses import RecordedLosses
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Detections, Losses

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

BuildModel = Callable[..., MaskRCNN]
MakeBatch = Callable[..., Batch]


def to_cuda(batch: Batch) -> Batch:
    moved: Batch = tree_map(lambda tensor: tensor.cuda(), batch)
    return moved


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


def test_training_that_waits_is_refused(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model("model.pooler.sampling=0").cuda(), to_cuda(make_batch([3, 1]))
    with pytest.raises(
        ValueError, match="cuda_graphs=true, but a part of the model waits for the GPU .*cuda_graphs=false"
    ):
        RecordedLosses()(model, batch)


def plain(model: MaskRCNN, batch: Batch) -> Detections:
    """With masks of all slots, as recordings have them; of another number the last bits may be others."""
    with torch.inference_mode():
        return model.detect(batch.images, batch.image_sizes)


def equal(found: Detections, wanted: Detections) -> bool:
    return bool(wanted.valid.any()) and all(torch.equal(a, b) for a, b in zip(trim(found), trim(wanted), strict=True))


def test_a_replay_waits_for_nothing(build_model: BuildModel, make_batch: MakeBatch, repeatable: object) -> None:
    model = build_model("model.box_head.score_threshold=0.0").cuda().eval()
    first, second = batches(make_batch)[:2]
    recorded = RecordedDetect()
    wanted = [plain(model, batch) for batch in (first, second)]
    for _ in range(2):
        recorded(model, first.images, first.image_sizes)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = [recorded(model, batch.images, batch.image_sizes) for batch in (first, second)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(map(equal, found, wanted)) and recorded.recordings.kept


def test_threads_on_streams_of_their_own_do_not_write_over_each_other(
    build_model: BuildModel, make_batch: MakeBatch, repeatable: object
) -> None:
    model = build_model("model.box_head.score_threshold=0.0").cuda().eval()
    recorded, made = RecordedDetect(), batches(make_batch)
    wanted = [plain(model, batch) for batch in made]
    for _ in range(2):
        recorded(model, made[0].images, made[0].image_sizes)
    found: list[Detections] = []
    torch.cuda.synchronize()
    for _ in range(5):
        for batch in made:
            with torch.cuda.stream(torch.cuda.Stream()):
                found.append(recorded(model, batch.images, batch.image_sizes))
    torch.cuda.synchronize()
    assert recorded.recordings.kept and all(map(equal, found, wanted * 5))


@pytest.fixture
def in_capture(monkeypatch: pytest.MonkeyPatch) -> Callable[[MaskRCNN, Callable[[], object]], None]:
    """Has a model do something in the midst of its work, where that is being recorded."""

    def add(model: MaskRCNN, action: Callable[[], object]) -> None:
        segment = model.segment

        def act(*inputs: Any) -> Detections:
            if torch.cuda.is_current_stream_capturing():
                action()
            return segment(*inputs)

        monkeypatch.setattr(model, "segment", act)

    return add


def test_an_old_graph_in_the_garbage_breaks_no_recording_off(
    build_model: BuildModel,
    make_batch: MakeBatch,
    repeatable: object,
    in_capture: Callable[[MaskRCNN, Callable[[], object]], None],
) -> None:
    model = build_model("model.box_head.score_threshold=0.0").cuda().eval()
    batch, old, recorded = batches(make_batch)[0], [RecordedDetect()], RecordedDetect()
    for _ in range(2):
        wanted = old[0](model, batch.images, batch.image_sizes)
    assert old[0].recordings.kept
    old.append(old)  # type: ignore[arg-type]
    held = [old]
    del old

    def litter() -> None:
        held.clear()
        gc.set_threshold(1, 1, 1)
        _ = [[] for _ in range(100)]

    in_capture(model, litter)
    before = gc.get_threshold()
    try:
        for _ in range(3):
            assert equal(recorded(model, batch.images, batch.image_sizes), wanted)
    finally:
        gc.set_threshold(*before)
    assert recorded.recordings.kept and not held


def test_a_second_thread_makes_its_own_handles_before_it_records(
    build_model: BuildModel, make_batch: MakeBatch, repeatable: object
) -> None:
    model = build_model("model.box_head.score_threshold=0.0").cuda().eval()
    batch, recorded = batches(make_batch)[0], RecordedDetect()
    wanted = recorded(model, batch.images, batch.image_sizes)
    kept, found = [], []

    def work() -> None:
        for _ in range(3):
            found.append(recorded(model, batch.images, batch.image_sizes))
            kept.append(len(recorded.recordings.kept))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert kept == [0, 1, 1] and recorded.records
    assert all(equal(one, wanted) for one in [*found, recorded(model, batch.images, batch.image_sizes)])


def test_recordings_outlive_those_of_others(build_model: BuildModel, make_batch: MakeBatch, repeatable: object) -> None:
    """More validations than torch has streams, each recorded and forgotten, between two steps of training."""
    model, batch = build_model("model.box_head.score_threshold=0.0").cuda(), batches(make_batch)[0]
    training, validation = RecordedLosses(), RecordedDetect()

    def step() -> list[Tensor]:
        losses = torch.stack([loss.sum for loss in training(model, batch)])
        learning = [weight for weight in model.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(losses.sum(), learning, allow_unused=True)
        return [losses.detach(), *(gradient for gradient in gradients if gradient is not None)]

    model.train()
    first = [step() for _ in range(2)][-1]
    assert training.recordings.kept
    for _ in range(33):
        model.eval()
        for _ in range(2):
            validation(model, batch.images, batch.image_sizes)
        assert validation.recordings.kept
        validation.forget()
        torch._C._cuda_clearCublasWorkspaces()  # as each of Lightning's trainers does at its start and end
        torch.cuda.empty_cache()
        model.train()
    assert all(torch.equal(a, b) for a, b in zip(step(), first, strict=True)) and training.recordings.kept


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (lambda: torch.empty(2**50, dtype=torch.uint8, device="cuda"), []),
        pytest.param(
            torch.cuda.synchronize,  # torch's look for waiting does not see it
            ["recording the model's work failed"],
            marks=pytest.mark.skipif(
                torch.__version__ < (2, 13), reason="older torch takes a capture that failed for one under way"
            ),
        ),
    ],
    ids=["too little memory", "not permitted"],
)
def test_after_a_recording_that_broke_off_work_goes_on(
    build_model: BuildModel,
    make_batch: MakeBatch,
    repeatable: object,
    in_capture: Callable[[MaskRCNN, Callable[[], object]], None],
    action: Callable[[], object],
    said: list[str],
) -> None:
    model = build_model("model.box_head.score_threshold=0.0").cuda().eval()
    batch, recorded = batches(make_batch)[0], RecordedDetect()
    other = copy.deepcopy(model)
    whole, cut = plain(model, batch), detect(model, batch.images, batch.image_sizes)
    in_capture(model, action)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for wanted in (whole, cut, cut):
            assert equal(recorded(model, batch.images, batch.image_sizes), wanted)
    told = [str(one.message) for one in caught if "is not recorded" in str(one.message)]
    assert [message.partition(" (")[0] for message in told] == said
    assert not recorded.recordings.kept and gc.isenabled()
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    recorded = RecordedDetect()
    for _ in range(3):
        assert equal(recorded(other, batch.images, batch.image_sizes), whole)
    assert recorded.recordings.kept
    torch.cuda.empty_cache()
