"""Signals in a worker process."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LEFT = ("SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")  # Windows lacks the latter three


def leave_signals() -> None:
    """Leaves signals to the main process, which finishes its step; call it when a worker process starts.

    Ctrl-C reaches all processes of a terminal's group, SIGTERM of `timeout` and the signals of Slurm all of a job. Only
    a SIGTERM of the main process itself ends a worker: so multiprocessing ends what does not end by itself.
    """
    for name in LEFT:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # of Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # of this thread, and of those that it starts
        threading.Thread(target=_wait_for_main, daemon=True).start()


@contextmanager
def signals_kept_back() -> Iterator[None]:
    """Within it, a process that is started is out of reach of these signals for good; the main one gets them later."""
    if not hasattr(signal, "pthread_sigmask"):  # of Windows
        yield
        return
    left = {getattr(signal, name) for name in (*LEFT, "SIGTERM")}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, left)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_for_main() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
        pass
    os._exit(0)
