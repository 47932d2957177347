"""Learns a batch that does not fit into memory in parts, with the gradients of the whole."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from maskrcnn.data.window import Windowed
from maskrcnn.engine.accumulation import refuse_batch_norm
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.structures import Batch, Loss, Losses

T = TypeVar("T")


class SplittingModule(MaskRCNNModule):
    """Halves a batch that runs out of memory, forward or backward, and its parts again, until they fit.

    A part's losses are divided by the counts of the whole batch, which a pass without gradients finds, so that the
    parts' gradients add up to the whole's. `model.sampler.mask_slots` is a budget of each part; where it binds for the
    whole, parts learn from more masks. The next batch is tried as a whole again. What fits has the very bits of
    `MaskRCNNModule`.
    """

    parts: list[Batch]  # of the batch
    whole: Tensor | None  # the loss with its graph, as long as the batch is not split
    lever: Tensor  # 0, added to the loss that Lightning gets: its gradient is what Lightning multiplied it by
    told = 1  # in how many parts a batch was learnt, as was said

    def training_step(self, batch: Batch | Windowed, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.whole = loss if len(self.parts) == 1 else None
        self.lever = torch.zeros_like(loss, requires_grad=True)
        return loss.detach() + self.lever  # Lightning would hold the graph while the parts are learnt

    def losses(self, batch: Batch) -> Losses:
        self.parts = [batch]
        return self._until_it_fits(self._sum)

    def _sum(self) -> Losses:
        if len(self.parts) == 1:
            return super().losses(self.parts[0])
        with torch.no_grad():
            parts: list[Losses] = [self.model(part) for part in self.parts]
        return Losses(*(Loss(*map(sum, zip(*same))) for same in zip(*parts)))  # type: ignore[arg-type]

    def backward(self, loss: Tensor) -> None:  # type: ignore[override]
        (factor,) = torch.autograd.grad(loss, self.lever)
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        before = [parameter.grad for parameter in parameters]  # of the step's micro-batches so far
        self._until_it_fits(lambda: self._learn(parameters, factor))
        for parameter, grad in zip(parameters, before):
            if grad is not None:
                parameter.grad = grad if parameter.grad is None else grad.add_(parameter.grad)
        self._tell()

    def _learn(self, parameters: list[nn.Parameter], factor: Tensor) -> None:
        for parameter in parameters:
            parameter.grad = None  # also what an attempt left that failed half way
        if self.whole is not None:
            whole, self.whole = self.whole, None
            (whole * factor).backward()
            return
        for part in self.parts:
            with self.trainer.precision_plugin.forward_context():
                loss = self.objective(self.model(part))
            (loss * factor).backward()

    def rehearse(self, batch: Batch) -> None:
        self.parts = [batch]
        attempt = super().rehearse
        self._until_it_fits(lambda: [attempt(part) for part in self.parts])
        self._tell()

    def _until_it_fits(self, attempt: Callable[[], T]) -> T:
        while True:
            try:
                return attempt()
            except torch.OutOfMemoryError:
                if max(len(part.keys) for part in self.parts) == 1:
                    raise
            # Not within `except`, where the error's traceback holds the tensors of the failed attempt.
            torch.cuda.empty_cache()  # whose pieces are of other sizes than the halves need
            self.parts = [half for part in self.parts for half in halve(part)]

    def _tell(self) -> None:
        if len(self.parts) > self.told:
            self.told = len(self.parts)
            pictures = sum(len(part.keys) for part in self.parts)
            print(
                f"a batch of {pictures} pictures did not fit into memory and was learnt in {self.told} parts, which "
                "takes a forward pass more; a smaller data.batch_size with trainer.accumulate_grad_batches is faster",
                flush=True,
            )


def halve(batch: Batch) -> list[Batch]:
    """Two halves of a batch, the first with one picture more if need be; one of a single picture."""
    size = len(batch.keys)
    middle = (size + 1) // 2
    return [_take(batch, half) for half in (slice(0, middle), slice(middle, size)) if half.start < size]


def _take(batch: Batch, part: slice) -> Batch:
    taken: Batch = tree_map(lambda field: field[part], batch)
    return taken


def check_splittable(model: nn.Module, ranks: int) -> None:
    """Makes sure that parts of a batch can stand for it.

    Args:
        model: that learns; ranks: how many processes do together.

    Raises:
        ValueError: there are several ranks, which would wait for one that takes longer; or a batch norm.
    """
    if ranks > 1:
        raise ValueError(
            f"out_of_memory.action=split is for one rank, and there are {ranks}: give out_of_memory.action=stop and a "
            "smaller data.batch_size with trainer.accumulate_grad_batches"
        )
    refuse_batch_norm(model, "out_of_memory.action=split", "out_of_memory.action=stop")
