"""What to do where a process that works for a run was killed."""

import re
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager


@contextmanager
def explained() -> Iterator[None]:
    """Within it, the death of such a process ends in one sentence.

    Raises:
        ValueError: a process that makes samples, or matches detections, is gone.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise ValueError(
            "a process that matches detections was killed, as systems do where memory is too little: give "
            "fewer callbacks.mean_ap.workers, or 0"
        ) from error
    except RuntimeError as error:
        lost = re.match(r"DataLoader worker \(pid[^)]*\)? .*?((?:is killed|exited).*)", str(error), re.DOTALL)
        if lost is None:
            raise
        how = " ".join(lost[1].split()).rstrip(".")
        why = ", as systems do where memory is too little: give fewer data.workers, or 0"
        if "Terminated" in how:  # SIGTERM to all processes of the run
            why = ", so that the step was not finished"
        raise ValueError(f"a process that makes samples {how}{why}") from error
