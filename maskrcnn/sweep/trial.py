"""A trial: a run in a folder that its configuration names, so that it is trained once however often it is asked for."""

import gc
import math
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from maskrcnn.config.reason import reason
from maskrcnn.config.run_dir import last_checkpoint
from maskrcnn.engine.interruption import Stopped
from maskrcnn.run_files.commit import code_version
from maskrcnn.run_files.metric_curves import read_curve
from maskrcnn.run_files.sources import fingerprints
from maskrcnn.sweep.result import DONE, Result, read_result, write_about, write_result

KINDS = ("bbox/", "segm/")


class Pruned(Exception):
    """Raised in a run to end its trial early, for the reason that it says."""


Train = Callable[[str | None], dict[str, float]]  # given the folder to resume or none; returns scores


def visit(folder: Path, about: dict[str, Any], train: Train) -> Result:
    """Trains a trial, goes on with it, or leaves it if it is finished; whatever comes is kept in its folder.

    Args:
        folder: of the trial.
        about: what it is: "overrides", the "choices" of groups, and its "config" with interpolations.
        train: trains it.

    Returns:
        How it went, or goes in another process. A failure is printed and noted; only what stops a process (Ctrl-C,
        SIGTERM) is raised.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "trial.lock", timeout=0):
            return _visit(folder, about, train)
    except Timeout:
        print(f"{folder}: another process trains it", flush=True)
        return read_result(folder) or Result("running", "", {}, 0.0, [], 1, time.time())


def _visit(folder: Path, about: dict[str, Any], train: Train) -> Result:
    before, plugins = read_result(folder), fingerprints(about["config"]["plugins"])
    commit = " and ".join([code_version(), *(f"{name} {hash_}" for name, hash_ in plugins.items())])
    if before is not None and before.status in DONE:
        print(f"{folder}: {before.status} before, not trained again{_other(before, commit, folder)}", flush=True)
        return before
    last = last_checkpoint(folder)
    resumed = last.is_file()
    if resumed:
        print(f"{folder}: goes on from {last}{_other(before, commit, folder)}", flush=True)
    else:  # what a run left that was stopped before its first checkpoint
        for name in ("checkpoints", "metrics"):
            shutil.rmtree(folder / name, ignore_errors=True)
    earlier = before if resumed else None
    spent = 0.0 if earlier is None else _spent(earlier, last)
    commits = list(dict.fromkeys([*(earlier.commits if earlier else []), commit]))
    now = Result("running", "", {}, spent, commits, 1 + (earlier.starts if earlier else 0), time.time())
    write_about(folder, about)
    write_result(folder, now)

    def end(status: str, why: str, scores: dict[str, float]) -> Result:
        result = now._replace(status=status, reason=why, scores=scores, seconds=spent + time.time() - now.started)
        write_result(folder, result)
        return result

    try:
        scores = train(str(folder) if resumed else None)
        return end("finished", "", _last_validation(folder, scores))
    except Pruned as pruned:
        return end("pruned", str(pruned), {})
    except Exception as error:
        why = reason(error)
        if not isinstance(error, (ValueError, OSError)):
            traceback.print_exc()
            why = f"{type(error).__name__}: {why}" if why else type(error).__name__  # of which 'x' would say too little
        print(f"error: {why} ({folder})", file=sys.stderr, flush=True)
        return end("failed", why, {})
    except BaseException as error:
        if isinstance(error, Stopped) and error.scores is not None:
            end("finished", "", _last_validation(folder, error.scores))
            print("stopped; to go on, repeat the same command: it skips finished trials", flush=True)
            raise
        end("interrupted", "stopped", {})
        print(
            f"to go on, repeat the same command: it goes on with this trial, {folder}, and skips finished ones",
            flush=True,
        )
        raise
    finally:
        gc.collect()  # a trainer and its model refer to each other
        torch.cuda.empty_cache()


def _last_validation(folder: Path, scores: dict[str, float]) -> dict[str, float]:
    """The scores to keep: those there are; as logged, where nothing was left to do but to note the end."""
    kept = {name: score for name, score in scores.items() if name.startswith(KINDS) and not math.isnan(score)}
    if kept:
        return kept
    logged = {name: read_curve(folder, name, "epoch") for name in ("segm/AP", "bbox/AP")}
    return {name: points[-1][1] for name, points in logged.items() if points and not math.isnan(points[-1][1])}


def _spent(before: Result, last: Path) -> float:
    """Seconds that went into a trial; up to its checkpoint, if nothing could be noted at its end."""
    if before.status != "running":
        return before.seconds
    return before.seconds + max(last.stat().st_mtime - before.started, 0.0)


def _other(before: Result | None, commit: str, folder: Path) -> str:
    if before is None or commit in before.commits:
        return ""
    of = ", ".join(before.commits)
    return f". NOTE: it is of commit {of}, this is {commit}; to train it anew, delete {folder}"
