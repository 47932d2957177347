"""The folder of a run: which one it is, and that a start which fails leaves none behind."""

import difflib
import os
import shutil
from pathlib import Path


def last_checkpoint(run: str | Path) -> Path:
    """The file that a run goes on from."""
    return Path(run) / "checkpoints" / "last.ckpt"


def check_resume(resume: str) -> None:
    """Makes sure that a run can go on.

    Raises:
        ValueError: its folder holds no checkpoint to go on from.
    """
    path = last_checkpoint(resume)
    if Path(resume).is_file():
        folder = Path(resume).parent
        folder = folder.parent if folder.name == path.parent.name else folder
        raise ValueError(f"resume={resume} is a file; name the folder of the run: resume={folder}")
    if not path.is_file():
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


def remove_start(directory: Path, since: float) -> None:
    """Removes the folder of a run that failed before it began, if a start since then made everything in it.

    Args:
        since: seconds since the epoch.
    """
    made = {".hydra", "config.yaml", "receipt.json"}
    if not directory.is_dir() or any(
        path.name not in made and path.suffix not in (".log", ".diff") for path in directory.iterdir()
    ):
        return
    if all(path.stat().st_mtime >= since for path in directory.rglob("*")):
        shutil.rmtree(directory)
