"""The training step's forward and backward pass on a GPU, recorded once for each shape."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils._pytree import tree_map

from maskrcnn.engine.recordings import (
    CannotRecord,
    Memory,
    Recordings,
    load,
    recording,
    shape_of,
    state_of,
    without_waiting,
)
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch, Loss, Losses


class RecordedLosses:
    """The losses that the model gives, and their gradients, by replaying recordings from the second time that a shape
    of batch comes.

    Each gives its losses and gradients in memory of its own, which are copied out, so that batches can be accumulated.
    """

    def __init__(self) -> None:
        self.recordings: Recordings[_Recording] = Recordings()
        self.looked = False  # whether the model waits

    def __call__(self, model: MaskRCNN, batch: Batch) -> Losses:
        """The losses of a batch.

        Raises:
            ValueError: the model cannot be recorded.
        """

        def plain() -> Losses:
            losses: Losses = model(batch) if self.looked else without_waiting(lambda: model(batch))
            self.looked = True
            return losses

        try:
            return self.recordings.work(
                state_of(model),
                shape_of(batch),
                plain,
                lambda memory: _Recording(model, batch, memory),
                lambda kept: kept.replay(batch),
            )
        except CannotRecord as error:
            raise ValueError(f"cuda_graphs=true, but {error}: give cuda_graphs=false") from error


class _Recording:
    """Losses of batches of one shape, and the gradients of the weights that learn."""

    def __init__(self, model: MaskRCNN, batch: Batch, memory: Memory) -> None:
        self.batch: Batch = tree_map(torch.clone, batch)
        learning = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.learning = list(learning.values())
        # Leaves of their own: where the graph of a plain step is still alive, the weights' accumulators of gradients
        # would wait for its stream, which breaks off a recording.
        leaves = {name: weight.detach().requires_grad_() for name, weight in learning.items()}
        self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with recording(self.forward, memory):
            losses: Losses = functional_call(model, leaves, (self.batch,))
            sums = torch.stack([loss.sum for loss in losses])
            self.counts = torch.stack([loss.count for loss in losses])
        self.factors = torch.ones_like(sums)
        with torch.autocast("cuda", enabled=False), recording(self.backward, memory):  # as a plain backward pass runs
            self.gradients = torch.autograd.grad(sums, list(leaves.values()), self.factors, allow_unused=True)
        self.sums = sums.detach()
        self.replays = 0

    def replay(self, batch: Batch) -> Losses:
        sums, counts = _Replay.apply(self, batch, *self.learning)  # type: ignore[no-untyped-call]
        return Losses(*map(Loss, sums, counts))


class _Replay(torch.autograd.Function):
    """A recording as a function of the weights."""

    @staticmethod
    def forward(ctx: Any, kept: _Recording, batch: Batch, *learning: Tensor) -> tuple[Tensor, Tensor]:
        load(kept.batch, batch)
        kept.forward.replay()
        kept.replays += 1
        ctx.kept, ctx.replay = kept, kept.replays
        counts = kept.counts.clone()
        ctx.mark_non_differentiable(counts)
        return kept.sums.clone(), counts

    @staticmethod
    def backward(ctx: Any, factors: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        kept: _Recording = ctx.kept
        assert kept.replays == ctx.replay, "what the backward pass needs was overwritten by another forward pass"
        kept.factors.copy_(factors)
        kept.backward.replay()
        return None, None, *_copies(kept.gradients)


def _copies(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Of the gradients that there are, in few kernels."""
    there = [gradient for gradient in gradients if gradient is not None]
    copies = [torch.empty_like(gradient) for gradient in there]
    torch._foreach_copy_(copies, there)
    rest = iter(copies)
    return [None if gradient is None else next(rest) for gradient in gradients]
