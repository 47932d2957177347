"""Work of a GPU recorded as CUDA graphs: replayed, it starts thousands of kernels at once instead of one by one.

No shape and no branch of the model depends on the data, so that one recording serves all batches of a shape.
"""

import gc
import threading
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

MOST = 16  # recordings kept; each holds what it puts out, and shapes that come later are worked plainly
WAITS = "synchronizing CUDA operation"  # of torch's error
PLAIN = (bool, int, float, str, tuple, list, dict)

Kept = TypeVar("Kept")
Result = TypeVar("Result")


class CannotRecord(Exception):
    """Why work cannot be recorded, as half a sentence."""


class Memory(NamedTuple):
    """What recordings share: what one puts out is to be copied before the next is replayed."""

    pool: Any
    # Of the current device, and of these recordings alone: when torch 2.13 destroys a graph, it gives away the memory
    # that cuBLAS works in on the graph's stream, also of other graphs (pytorch issue 193402). Ours go all at once.
    stream: torch.cuda.Stream
    free: torch.cuda.Event  # after what the last replay put out was copied: threads may work on different streams


class Recordings(Generic[Kept]):
    """Recordings of a model's work by shape, the first `MOST` that came twice. The first time, work is done plainly,
    which compiles kernels and makes the libraries' handles: in each thread, as these are a thread's own.
    """

    def __init__(self) -> None:
        self.state: Hashable = None
        self.seen: set[Hashable] = set()
        self.kept: dict[Hashable, Kept] = {}
        self.memory: Memory | None = None

    @property
    def full(self) -> bool:
        """Whether no other shape will be recorded."""
        return len(self.kept) == MOST

    def work(
        self,
        state: Hashable,
        shape: Hashable,
        plain: Callable[[], Result],
        record: Callable[[Memory], Kept],
        replay: Callable[[Kept], Result],
    ) -> Result:
        """What `plain` or, if there is one, `replay` of a recording gives.

        Args:
            state: of `state_of`; with another one, all recordings are forgotten.
            shape: of `shape_of`.

        Raises:
            CannotRecord: a recording failed.
        """
        if state != self.state:
            self.forget()
            self.state = state
        here = threading.get_ident(), shape
        if shape not in self.kept and here in self.seen and not self.full:
            self.kept[shape] = self._record(record)
        if shape in self.kept:
            return replay(self.kept[shape])
        result = plain()
        self.seen.add(here)
        return result

    def _record(self, record: Callable[[Memory], Kept]) -> Kept:
        if self.memory is None:
            self.memory = Memory(torch.cuda.graph_pool_handle(), torch.cuda.Stream(), torch.cuda.Event())
        try:
            return record(self.memory)
        except BaseException as error:
            self.forget()  # a pool may not be usable after a recording that failed
            if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError):
                why = str(error).partition("\n")[0]
                raise CannotRecord(f"recording the model's work failed ({why})") from error
            raise

    def forget(self) -> None:
        """Gives the memory back."""
        self.state, self.seen, self.kept, self.memory = None, set(), {}, None


def state_of(model: nn.Module) -> Hashable:
    """What recordings depend on besides shapes: where weights and buffers lie, what learns, the settings of the model's
    parts, and the precision.
    """
    found: list[Any] = []
    for part in model.modules():  # by hand: this is done for each batch, and `parameters` takes three times as long
        content = vars(part)
        found.append(content["training"])
        for weight in content["_parameters"].values():
            if weight is not None:
                found += weight.data_ptr(), weight.requires_grad
        found += [buffer.data_ptr() for buffer in content["_buffers"].values() if buffer is not None]
        if not type(part).__module__.startswith("torch."):
            found += [repr(value) for name, value in content.items() if name[0] != "_" and isinstance(value, PLAIN)]
    precision = (
        torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda"),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.are_deterministic_algorithms_enabled(),
    )
    return *found, *precision


def shape_of(inputs: Any) -> Hashable:
    """Shapes and types of nested tuples of tensors."""
    return tuple((tensor.shape, tensor.dtype) for tensor in tree_leaves(inputs))


@contextmanager
def recording(graph: torch.cuda.CUDAGraph, memory: Memory) -> Iterator[None]:
    """Within it, work is written to a graph instead of done.

    Casts of weights that autocast keeps are made anew, since those from before would be gone at the replay; and other
    threads, such as the one that pins memory, go on. Garbage is not collected meanwhile: a graph in it, such as of a
    model trained before, would be destroyed, which breaks a recording off.
    """
    before, collects = torch.cuda.current_stream(), gc.isenabled()
    torch.clear_autocast_cache()
    gc.disable()
    try:
        capture = torch.cuda.graph(graph, pool=memory.pool, stream=memory.stream, capture_error_mode="thread_local")
        capture.__enter__()
        try:
            yield
        except BaseException:
            with suppress(RuntimeError):  # what was broken off cannot be ended either, which would hide why
                capture.__exit__(None, None, None)
            raise
        capture.__exit__(None, None, None)
    finally:
        torch.cuda.set_stream(before)  # where the end of a recording fails, torch stays on the other
        torch.clear_autocast_cache()
        if collects:
            gc.enable()


def without_waiting(work: Callable[[], Result]) -> Result:
    """The work's result.

    Raises:
        CannotRecord: it makes the host wait for the GPU, and was broken off there.
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
        raise CannotRecord(f"a part of the model waits for the GPU ({str(error).splitlines()[0]})") from error
    finally:
        torch.cuda.set_sync_debug_mode(before)


def load(places: Any, values: Any) -> None:
    """Copies nested tuples of tensors into the tensors that a recording reads."""
    into: list[Tensor] = tree_leaves(places)
    for place, value in zip(into, tree_leaves(values), strict=True):
        place.copy_(value)
