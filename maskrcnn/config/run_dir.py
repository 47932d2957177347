"""The folder of a run: which one it is, and that a start which fails leaves none behind."""

import contextlib
import difflib
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from maskrcnn.config.launcher import RUN_NAME

PATIENCE = 15.0  # seconds; data workers of a run that was killed end within 5
LOCK = ".lock"  # held by the process that trains


def last_checkpoint(run: str | Path) -> Path:
    """The file that a run goes on from."""
    return Path(run) / "checkpoints" / "last.ckpt"


def run_of(file: Path) -> Path:
    """The folder of the run that a file is of."""
    return file.parent.parent if file.parent.name == "checkpoints" else file.parent


def check_resume(resume: str) -> None:
    """Makes sure that a run can go on.

    Raises:
        ValueError: its folder holds no checkpoint to go on from.
    """
    path = last_checkpoint(resume)
    if Path(resume).is_file():
        raise ValueError(f"resume={resume} is a file; name the folder of the run: resume={run_of(Path(resume))}")
    if not path.is_file():
        kept = sorted(path.parent.glob("*.ckpt"))
        if kept:
            raise ValueError(f"resume={resume}: there is no {path} to go on from; weights={kept[0]} starts another run")
        close = " Did you mean resume=auto?" if difflib.get_close_matches(resume, ["auto"]) else ""
        raise ValueError(f"resume={resume}: there is no {path}; name the folder of a run that has saved one.{close}")


def run_dir(resume: str | None, fresh: str) -> str:
    """The folder that a run writes to, asked before anything is written.

    Args:
        resume: folder of the run to go on with; `auto` in a Slurm job is that of the job, which keeps its number when
            it is requeued; null for a new run.
        fresh: folder of a new run.

    Raises:
        ValueError: there is nothing to go on with, or no telling where.
    """
    if resume is None:
        return fresh
    if not isinstance(resume, str):
        raise ValueError(f"resume={str(resume).lower()}: give the folder of a run, auto, or null")
    if resume == "auto":
        if "SLURM_JOB_ID" not in os.environ:
            raise ValueError("resume=auto goes on with what is in run_dir, so give run_dir=... too")
        return f"runs/job_{os.environ['SLURM_JOB_ID']}"
    check_resume(resume)
    return resume


@contextlib.contextmanager
def claimed() -> Iterator[None]:
    """Gives a run, and the processes that it starts, a name that no other start has; an unused folder is removed."""
    name = None
    with contextlib.suppress(OSError):  # Hydra says it, if the run is to lie there
        name = os.environ[RUN_NAME] = _claim()
    try:
        yield
    finally:
        if name is not None:
            os.environ.pop(RUN_NAME, None)
            for folder in (Path("runs", name), Path("runs")):
                with contextlib.suppress(OSError):  # it holds something, or is gone
                    folder.rmdir()


def _claim() -> str:
    """Makes a folder in runs/, named by the time, and returns its name."""
    now = time.strftime("%Y-%m-%d_%H-%M-%S")
    Path("runs").mkdir(exist_ok=True)
    for number in itertools.count(1):
        name = now if number == 1 else f"{now}_{number}"
        try:
            Path("runs", name).mkdir()
            return name
        except FileExistsError:  # started in the same second
            continue
    raise AssertionError("there is always a next number")


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keeps other processes from training in the same folder meanwhile.

    Raises:
        ValueError: one does, for `PATIENCE` from now on.
    """
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise ValueError(f"another process trains in {directory}: wait for its end, or give another run_dir") from None
    except (NotImplementedError, OSError):  # a file system without locks
        pass
    try:
        yield
    finally:
        lock.release()


def remove_start(directory: Path, since: float, there: bool) -> None:
    """Removes what a run that failed before it began has left, if all that its folder holds is of a start since then,
    and no other process trains there.

    Args:
        since: seconds since the epoch; there: whether there was such a folder before, so that it stays.
    """
    made = {".hydra", "config.yaml", "receipt.json", LOCK}
    if not directory.is_dir() or any(path.name not in made and path.suffix != ".diff" for path in directory.iterdir()):
        return
    if any(path.stat().st_mtime < since for path in directory.rglob("*")):
        return
    try:
        with FileLock(directory / LOCK, timeout=0):
            pass
    except Timeout:
        return
    except (NotImplementedError, OSError):  # a file system without locks
        pass
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not there:
        directory.rmdir()
