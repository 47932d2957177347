"""Work of a GPU recorded as CUDA graphs: replayed, it starts thousands of kernels at once instead of one by one.

No shape and no branch of the model depends on the data, so that one recording serves all batches of a shape.
"""

import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

MOST = 16  # recordings kept; each holds what it puts out, and shapes that come later are worked plainly
WAITS = "synchronizing CUDA operation"  # of torch's error

Kept = TypeVar("Kept")
Result = TypeVar("Result")


class Waits(Exception):
    """Work that makes the host wait for the GPU cannot be recorded."""


class Recordings(Generic[Kept]):
    """Recordings by key, the first `MOST` that came twice; the first time work is done plainly, which compiles kernels
    and shows whether it can be recorded.

    Recordings share their memory: what one puts out is to be copied before the next is replayed.
    """

    def __init__(self) -> None:
        self.kept: dict[Hashable, Kept | None] = {}
        self.pool: Any = None

    def find(self, key: Hashable, record: Callable[[Any], Kept]) -> Kept | None:
        """The recording of a key, made by `record` of the pool of memory when it comes the second time; else None."""
        if key not in self.kept:
            if len(self.kept) < MOST:
                self.kept[key] = None
            return None
        if self.kept[key] is None:
            if self.pool is None:
                self.pool = torch.cuda.graph_pool_handle()
            self.kept[key] = record(self.pool)
        return self.kept[key]

    def forget(self) -> None:
        """Gives the memory back."""
        self.kept, self.pool = {}, None


def key_of(model: nn.Module, inputs: Any) -> Hashable:
    """All that a recording depends on: shapes and types, where weights and buffers lie, what learns, and the precision.

    Args:
        model: that is recorded; inputs: nested tuples of tensors.
    """
    tensors = [(tensor.shape, tensor.dtype) for tensor in tree_leaves(inputs)]
    weights = [(weight.data_ptr(), weight.requires_grad) for weight in model.parameters()]
    buffers = [buffer.data_ptr() for buffer in model.buffers()]
    learning = [part.training for part in model.modules()]
    precision = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
    return *tensors, *weights, *buffers, *learning, precision


@contextmanager
def recording(graph: torch.cuda.CUDAGraph, pool: Any) -> Iterator[None]:
    """Within it, work is written to a graph instead of done.

    Casts of weights that autocast keeps are made anew, since those from before would be gone at the replay; and other
    threads, such as the one that pins memory, go on.
    """
    torch.clear_autocast_cache()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        yield
    torch.clear_autocast_cache()


def without_waiting(work: Callable[[], Result]) -> Result:
    """The work's result.

    Raises:
        Waits: it makes the host wait for the GPU, and was broken off there.
    """
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        return work()
    except RuntimeError as error:
        if WAITS not in str(error):
            raise
        raise Waits from error
    finally:
        torch.cuda.set_sync_debug_mode(before)


def load(places: Any, values: Any) -> None:
    """Copies nested tuples of tensors into the tensors that a recording reads."""
    into: list[Tensor] = tree_leaves(places)
    for place, value in zip(into, tree_leaves(values), strict=True):
        place.copy_(value)
