"""What a GPU found, on its way to the CPU."""

from typing import Generic, TypeVar

import torch
from torch.utils._pytree import tree_leaves, tree_map

T = TypeVar("T")


class Transfer(Generic[T]):
    """Copies tensors to the CPU while both go on with other work.

    Args:
        values: tuples of tensors, on any device; what is done to these on the GPU's current stream afterwards, such as
            a replay that writes over them, changes nothing.
    """

    def __init__(self, values: T) -> None:
        self.on_gpu = any(value.is_cuda for value in tree_leaves(values))
        # Of other devices nothing would tell when the copies are there.
        self._values: T = tree_map(lambda value: value.to("cpu", non_blocking=value.is_cuda), values)
        if self.on_gpu:
            self._copied = torch.cuda.Event()
            self._copied.record()

    def wait(self) -> T:
        """The copies, once they are there."""
        if self.on_gpu:
            self._copied.synchronize()
        return self._values
