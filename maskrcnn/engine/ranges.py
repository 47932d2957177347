"""What the parts of a model put out in one forward pass: the range of each, to find where it is no longer finite."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from maskrcnn.structures import Batch, Losses


class Range(NamedTuple):
    """The values of one or more tensors."""

    least: float  # of the finite ones; nan if there is none
    greatest: float
    non_finite: float  # share of all, 0 to 1


def of(tensors: list[Tensor]) -> Range:
    """The range of tensors, of which at least one has a value."""
    values = torch.cat([tensor.detach().flatten().double() for tensor in tensors])
    finite = values[values.isfinite()]
    share = 1 - len(finite) / len(values)
    if not len(finite):
        return Range(float("nan"), float("nan"), share)
    return Range(finite.min().item(), finite.max().item(), share)


@torch.no_grad()
def watch(model: nn.Module, batch: Batch) -> tuple[Losses, dict[str, Range]]:
    """One forward pass without compilation, and the range of what each module puts out, in the order in which they end.

    Batch norm takes the batch's statistics where the model is training, but its running ones stay as they are.

    Args:
        model: a `MaskRCNN`; batch: on its device.
    """
    found: dict[str, Range] = {}

    def note(name: str, module: nn.Module, arguments: Any, output: Any) -> None:
        tensors = [tensor for tensor in _floats(output) if tensor.numel()]
        if tensors:
            found[name] = of(tensors)

    hooks = [module.register_forward_hook(partial(note, name)) for name, module in model.named_modules() if name]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        losses: Losses = model.forward(batch)  # not model(batch), which is the compiled graph where there is one
    finally:
        for hook in hooks:
            hook.remove()
        for buffer, before in buffers:
            buffer.copy_(before)
    return losses, found


def _floats(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor) and value.is_floating_point():
        yield value
    elif isinstance(value, (tuple, list)):
        for child in value:
            yield from _floats(child)
    elif isinstance(value, dict):
        yield from _floats(list(value.values()))
