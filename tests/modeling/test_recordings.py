"""What is recorded when, and what happens where that fails; without a GPU, with stand-ins for what needs one."""

import copy
import gc
import threading
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from maskrcnn.engine import recorded_detect, recorded_losses, recordings
from maskrcnn.engine.detector import detect, trim
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.engine.recorded_losses import RecordedLosses
from maskrcnn.engine.recordings import CannotRecord, Memory, Recordings, recording, shape_of, state_of
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Detections

BuildModel = Callable[..., MaskRCNN]
MakeBatch = Callable[..., Batch]


@pytest.fixture
def no_gpu_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What recordings ask of CUDA, besides the recording itself."""
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "Stream", lambda: "stream")
    monkeypatch.setattr(torch.cuda, "Event", lambda: "event")
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
    with pytest.raises(CannotRecord, match=r"recording the model's work failed \(cannot be recorded\)$"):
        kept.work(1, "a", lambda: "plain", fail, str)
    assert kept.memory is None and not kept.kept
    assert kept.work(1, "a", lambda: "plain again", fail, str) == "plain again"


def test_a_thread_records_only_what_it_has_worked_plainly(no_gpu_needed: None) -> None:
    """The handles of cuBLAS and cuDNN are a thread's own, and cannot be made in a recording."""
    kept: Recordings[str] = Recordings()
    done = []

    def come() -> None:
        done.append(kept.work(1, "a", lambda: "plain", lambda memory: "recording", lambda one: "replayed"))

    come()
    for _ in range(2):
        other = threading.Thread(target=lambda: (come(), done.append("next"), come()))
        other.start()
        other.join()
    assert done == ["plain", "plain", "next", "replayed", "replayed", "next", "replayed"]


class Graph:
    """In the place of `torch.cuda.graph`: of work that was broken off the end fails too, on the other stream."""

    stream = "default"
    broken = False

    def __init__(self, graph: object, pool: object, stream: str, capture_error_mode: str) -> None:
        self.other = stream

    def __enter__(self) -> None:
        Graph.stream = self.other

    def __exit__(self, *_: object) -> None:
        if Graph.broken:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        Graph.stream = "default"


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch, no_gpu_needed: None) -> None:
    monkeypatch.setattr(Graph, "stream", "default")
    monkeypatch.setattr(Graph, "broken", False)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Graph.stream)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: setattr(Graph, "stream", stream))


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError, "^CUDA out of memory$"),
        (RuntimeError("operation not permitted\nfor debugging"), CannotRecord, r"failed \(operation not permitted\)$"),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
)
def test_work_that_breaks_off_its_recording_tells_why(
    graph: None, error: BaseException, raised: type[BaseException], said: str
) -> None:
    def broken(memory: Memory) -> str:
        with recording(None, memory):  # type: ignore[arg-type]
            assert Graph.stream == "stream"
            Graph.broken = True
            raise error

    kept: Recordings[str] = Recordings()
    kept.work(1, "a", lambda: "plain", broken, str)
    with pytest.raises(raised, match=said):
        kept.work(1, "a", lambda: "plain", broken, str)
    assert Graph.stream == "default" and gc.isenabled()


def test_garbage_outlives_a_recording(graph: None) -> None:
    """To destroy an old graph breaks off a recording."""
    destroyed: list[str] = []

    class Old:
        def __del__(self) -> None:
            destroyed.append(Graph.stream)

    before = gc.get_threshold()
    gc.collect()
    old = [Old()]
    old.append(old)  # type: ignore[arg-type]
    try:
        with recording(None, Memory(None, "stream", None)):  # type: ignore[arg-type]
            gc.set_threshold(1, 1, 1)
            del old
            _ = [[] for _ in range(100)]
            assert not destroyed
        _ = [[] for _ in range(100)]
    finally:
        gc.set_threshold(*before)
    assert destroyed == ["default"]


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


def test_detections_of_a_shape_are_recorded_once_with_all_slots(
    build_model: BuildModel, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, no_gpu_needed: None
) -> None:
    monkeypatch.setattr(recorded_detect, "on_gpu", lambda images: True)
    monkeypatch.setattr(recorded_detect, "_Recording", StandIn)
    model = build_model("model.box_head.score_threshold=0.0", "model.box_head.max_detections=20").eval()
    recorded = RecordedDetect()
    for batch in (make_batch([3, 1]), make_batch([1, 0]), make_batch([0, 0])):
        found = recorded(model, batch.images, batch.image_sizes)
        wanted = detect(model, batch.images, batch.image_sizes)
        assert found.valid.shape[1] == 20
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(trim(found), wanted, strict=True))
    assert len(recorded.recordings.kept) == 1


class NoReading(TorchDispatchMode):
    """Refuses what waits for a GPU to read a number from it."""

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), named: Any = None) -> Any:
        assert operator is not torch.ops.aten._local_scalar_dense.default, "a number was read"
        return operator(*args, **(named or {}))


def test_nothing_is_read_of_what_a_replay_finds(
    build_model: BuildModel, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, no_gpu_needed: None
) -> None:
    """Or the host could not hand over the detections of the pictures before meanwhile."""
    model, batch, recorded = build_model().eval(), make_batch([3, 1]), RecordedDetect()
    wanted = detect(model, batch.images, batch.image_sizes)
    monkeypatch.setattr(recorded_detect, "on_gpu", lambda images: True)
    monkeypatch.setattr(recorded_detect, "_Recording", lambda *_: SimpleNamespace(replay=lambda inputs: wanted))
    recorded(model, batch.images, batch.image_sizes)
    with NoReading():
        assert recorded(model, batch.images, batch.image_sizes) is wanted
    with pytest.raises(AssertionError, match="a number was read"), NoReading():
        trim(wanted)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("called a synchronizing CUDA operation"), "a part of the model waits for the GPU"),
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


def test_what_fails_to_be_recorded_is_found_plainly_and_not_tried_again(
    build_model: BuildModel, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, no_gpu_needed: None
) -> None:
    tried = []

    def fail(*_: object) -> None:
        tried.append(1)
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    monkeypatch.setattr(recorded_detect, "on_gpu", lambda images: True)
    monkeypatch.setattr(recorded_detect, "_Recording", fail)
    model, batch = build_model("model.box_head.score_threshold=0.0").eval(), make_batch([3, 1])
    wanted, recorded = detect(model, batch.images, batch.image_sizes), RecordedDetect()
    recorded(model, batch.images, batch.image_sizes)
    with pytest.warns(UserWarning, match=r"failed \(CUDA error: operation not .*\), so that inference is not recorded"):
        found = [recorded(model, batch.images, batch.image_sizes) for _ in range(3)]
    assert len(tried) == 1 and wanted.valid.any()
    for one in found:
        assert all(torch.equal(a, b) for a, b in zip(one, wanted, strict=True))


def test_training_that_fails_to_be_recorded_says_what_to_set(
    build_model: BuildModel, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, no_gpu_needed: None
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(recorded_losses, "_Recording", fail)
    model, batch, recorded = build_model(), make_batch([3, 1]), RecordedLosses()
    recorded(model, batch)
    with pytest.raises(ValueError, match=r"=true, but .* failed \(CUDA error: out of memory\): give cuda_graphs=false"):
        recorded(model, batch)


def test_on_a_cpu_nothing_is_recorded(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model("model.box_head.score_threshold=0.0").eval(), make_batch([3, 1])
    recorded = RecordedDetect()
    for _ in range(3):
        found = recorded(model, batch.images, batch.image_sizes)
    wanted = detect(model, batch.images, batch.image_sizes)
    assert wanted.valid.any() and not recorded.recordings.kept
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, wanted, strict=True))
