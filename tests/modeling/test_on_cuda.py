"""The model on a GPU: the numbers of the CPU, nothing waited for, the same bits twice."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from maskrcnn.engine.module import mean_losses
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Detections

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

BuildModel = Callable[..., MaskRCNN]
MakeBatch = Callable[..., Batch]


def to_cuda(batch: Batch) -> Batch:
    moved: Batch = tree_map(lambda tensor: tensor.cuda(), batch)
    return moved


def step(model: MaskRCNN, batch: Batch, forward: Callable[[Batch], object] | None = None) -> list[Tensor]:
    """Losses and gradients."""
    model.zero_grad()
    losses = mean_losses((model if forward is None else forward)(batch))
    torch.stack(list(losses.values())).sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    return [*(loss.detach() for loss in losses.values()), *gradients]


@pytest.fixture(autouse=True)
def plain_float32() -> object:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def test_losses_and_gradients_are_those_of_the_cpu(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model(), make_batch([3, 1])
    there = copy.deepcopy(model).cuda()
    for mine, theirs in zip(step(there, to_cuda(batch)), step(model, batch), strict=True):
        torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-3, atol=1e-4)


def test_detections_are_those_of_the_cpu(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model("model.box_head.score_threshold=0.0").eval(), make_batch([3, 1])
    with torch.inference_mode():
        wanted = model.detect(batch.images, batch.image_sizes)
        found: Detections = model.cuda().detect(batch.images.cuda(), batch.image_sizes.cuda())
    assert wanted.valid.any()
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-3, atol=1e-3)


def test_a_step_in_bfloat16_waits_for_nothing(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model().cuda(), to_cuda(make_batch([3, 1]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for mode in ("default", "error"):  # the first compiles kernels and makes the libraries' handles
        try:
            torch.cuda.set_sync_debug_mode(mode)
            with torch.autocast("cuda", torch.bfloat16):
                loss = torch.stack(list(mean_losses(model(batch)).values())).sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        losses.append(loss.item())
    assert losses[0] != losses[1] and all(0 < loss < 100 for loss in losses)


def test_bfloat16_is_near_float32(build_model: BuildModel, make_batch: MakeBatch) -> None:
    model, batch = build_model().cuda(), to_cuda(make_batch([3, 1]))
    plain = torch.stack(list(mean_losses(model(batch)).values()))
    with torch.autocast("cuda", torch.bfloat16):
        rounded = torch.stack(list(mean_losses(model(batch)).values()))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, plain, rtol=0.1, atol=0.02)


def test_two_steps_give_the_same_bits_with_deterministic_algorithms(
    build_model: BuildModel, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    model, batch = build_model().cuda(), to_cuda(make_batch([3, 1]))
    torch.use_deterministic_algorithms(True)
    try:
        with torch.autocast("cuda", torch.bfloat16):
            first, second = step(model, batch), step(model, batch)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_compiled_into_one_graph_it_agrees(build_model: BuildModel, make_batch: MakeBatch) -> None:
    torch._dynamo.reset()
    model, batch = build_model().cuda(), to_cuda(make_batch([3, 1]))
    wanted = step(model, batch)
    compiled = step(model, batch, torch.compile(model, fullgraph=True))
    for mine, theirs in zip(compiled, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)
