"""A process that the system kills ends a run in one sentence."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from torch.utils.data import DataLoader, Dataset

from maskrcnn.engine import lost_workers


class Killed(Dataset[int]):
    """Whose worker is killed at its first sample."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(os.name == "nt", reason="no fork")
def test_a_process_that_is_killed_is_told_of_in_one_sentence() -> None:
    fork = multiprocessing.get_context("fork")
    samples = "^a process that makes samples .*: give fewer data.workers, or 0$"
    with pytest.raises(ValueError, match=samples), lost_workers.explained():
        next(iter(DataLoader(Killed(), num_workers=1, multiprocessing_context=fork)))
    with pytest.raises(ValueError, match=samples), lost_workers.explained():
        raise RuntimeError("DataLoader worker (pid(s) 1, 2) exited unexpectedly")  # of torch, where it looks later
    stopped = "^a process that makes samples is killed by signal: Terminated, so that the step was not finished$"
    with pytest.raises(ValueError, match=stopped), lost_workers.explained():
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated. ")
    matching = "^a process that matches detections was killed, .*: give fewer callbacks.mean_ap.workers, or 0$"
    with (
        pytest.raises(ValueError, match=matching),
        lost_workers.explained(),
        ProcessPoolExecutor(1, fork) as pool,
    ):
        pool.submit(os._exit, 1).result()


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="^shapes do not fit$"), lost_workers.explained():
        raise RuntimeError("shapes do not fit")
