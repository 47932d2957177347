"""Processes that turn detections into COCO results and match them while the device looks at the next pictures."""

import contextlib
import io
import multiprocessing
import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import forkserver, resource_tracker
from typing import Any

import torch
from torch import Tensor

from maskrcnn.data.collate import check_shared
from maskrcnn.data.worker_signals import leave_signals, signals_kept_back
from maskrcnn.evaluation.part import Part

# Batches that may wait for each process. What waits is copied: 100 masks of 28 x 28 cells are 0.3 MB a picture.
AHEAD = 4
# Not ours, which the server might find elsewhere: it does not look where this process does.
IMPORTS = ["torch", "pycocotools.cocoeval", "hotcoco"]


class ResultWorkers:
    """Runs calls in processes, and gives what they return in the order of the calls.

    Args:
        count: of processes; at 0 each call is made at once, in this one.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.waiting: deque[Future[Part]] = deque()
        self.pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Begins what the processes need before they can work, beside what comes before the first call: some 3 s."""
        if self.count and self.pool is None:
            check_shared()
            self.pool = ProcessPoolExecutor(self.count, mp_context=_context(), initializer=_start)

    def call(self, make: Callable[[], Part]) -> Iterator[Part]:
        """Has a call made, which must pickle; gives results of earlier ones, waiting where too many are under way."""
        self.start()
        if self.pool is None:
            yield make()
            return
        self.waiting.append(self.pool.submit(_call, *_to_bytes(make)))
        while len(self.waiting) > AHEAD * self.count or (self.waiting and self.waiting[0].done()):
            yield self.waiting.popleft().result()

    def finish(self) -> Iterator[Part]:
        """Waits for all that is under way."""
        while self.waiting:
            yield self.waiting.popleft().result()

    def close(self) -> None:
        """Ends the processes; what is under way is lost."""
        self.waiting.clear()
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None


def _context() -> multiprocessing.context.BaseContext:
    """How the processes start: not forked from this one, as threads of torch and a CUDA context do not survive that,
    but on Linux from one that has nothing but the imports, of which torch's take 4 seconds each time.
    """
    if sys.platform == "linux":
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTS)
        with signals_kept_back():  # by itself, as it lets signals through afterwards, which the server would inherit
            resource_tracker.ensure_running()
        # An OSError of a socket below a folder for temporary files with a long name.
        with contextlib.suppress(OSError), signals_kept_back():
            forkserver.ensure_running()
            return context
    return multiprocessing.get_context("spawn")


class _Pickler(pickle.Pickler):
    """Writes tensors as arrays: theirs takes twice as long, and writes all the memory that a tensor is a part of."""

    def reducer_override(self, value: Any) -> Any:
        return (torch.from_numpy, (value.numpy(),)) if isinstance(value, Tensor) else NotImplemented


def _to_bytes(make: Callable[[], Part]) -> tuple[bytes, list[bytearray]]:
    """As bytes because tensors in a queue would hold a file descriptor each.

    Arrays lie beside the rest: a stream grows as they are written, which takes 5 times as long as to copy them once.
    """
    written, arrays = io.BytesIO(), list[pickle.PickleBuffer]()
    _Pickler(written, protocol=5, buffer_callback=arrays.append).dump(make)
    return written.getvalue(), [bytearray(array.raw()) for array in arrays]


def _call(make: bytes, arrays: list[bytearray]) -> Part:
    part: Part = pickle.loads(make, buffers=arrays)()
    return part


def _start() -> None:
    leave_signals()
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A main process that was killed could not say so."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
