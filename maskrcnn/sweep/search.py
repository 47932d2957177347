"""Searches settings with Optuna.

A script of its own over `compose`, with Optuna's ask and tell: Hydra's plugin as published pins Optuna below 3, and its
storage in SQLite fails.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import BaseFileLock, FileLock, Timeout
from omegaconf import DictConfig
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.trial import Trial, TrialState
from sqlalchemy import URL

from maskrcnn.config.compose import compose, portable, to_plain
from maskrcnn.config.trial_names import search_name, trial_folder
from maskrcnn.engine.after_validation import AfterValidation
from maskrcnn.run_files.metric_curves import read_curve
from maskrcnn.sweep.collect import check_folder
from maskrcnn.sweep.report import report
from maskrcnn.sweep.result import DONE, Result
from maskrcnn.sweep.space import as_overrides, check_space, distributions
from maskrcnn.sweep.trial import Pruned, visit

Train = Callable[[DictConfig, str | None, list[str], AfterValidation], dict[str, float]]
DID = ("trained", "resumed", "repeated", "pruned", "failed", "in another process")


def search(
    train: Train,
    *,
    space: dict[str, Any],
    trials: int,
    override: list[str],
    pruner: Literal["median", "hyperband"] | None,
    startup_trials: int,
    seed: int,
    folder: str | None,
    plugins: list[str],
) -> bool:
    """Searches the setting of the best mask AP, by the tree-structured Parzen estimator of Bergstra et al. (2011).

    All is kept in the folder, Optuna's record of it in search.db. So the same command goes on where it was stopped, and
    processes that run it at once share the trials.

    Args:
        train: trains a configuration, given the folder to resume or none, its overrides, and whom to tell of
            validations.
        space: see `distributions`.
        trials: in all, with those of earlier starts and other processes, failed ones too.
        override: what all trials share, as on the command line of train.py.
        pruner: ends trials after a validation. median: those worse than the median of the others then; hyperband: as in
            Li et al. (2018), most trials after few epochs and fewer and fewer later; null: none.
        startup_trials: how many come before proposals follow results, and before the median ends any.
        seed: of the proposals.
        folder: where it lies; null for multirun/search-<keys>-<a hash of space and override>.
        plugins: packages besides ours that the configuration may name.

    Returns:
        Whether no trial failed.

    Raises:
        ValueError: the space does not fit the configuration, or the folder is that of a run.
    """
    fixed = override + ([f"plugins=[{','.join(plugins)}]"] if plugins else [])
    varied = distributions(space)
    check_space(varied, fixed)
    path = Path(folder) if folder is not None else Path("multirun") / search_name(space, fixed)
    check_folder(path)
    path.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it tells, our lines tell
    with FileLock(path / "search.lock"):  # two processes cannot make the file at once
        study = optuna.create_study(
            storage=str(URL.create("sqlite", database=str(path / "search.db"))),  # escaped, as ? and % of a path need
            study_name="search",
            direction="maximize",
            load_if_exists=True,
            pruner=_pruner(pruner, startup_trials),
        )
    did: Counter[str] = Counter()
    while (taken := _take(study, varied, path, trials, startup_trials, seed)) is not None:
        trial, lock = taken
        try:
            did[_do(study, trial, fixed, path, train)] += 1
        finally:
            lock.release()
    report(path)
    print("this time: " + ", ".join(f"{did[what]} {what}" for what in DID if did[what] or what in DID[:5]))
    if any(trial.state == TrialState.COMPLETE for trial in study.trials):
        best = " ".join(as_overrides(study.best_params))
        print(f"best: mask AP {study.best_value:.3f} with {best}, in {study.best_trial.user_attrs['folder']}")
    return not did["failed"]


def _pruner(name: str | None, startup_trials: int) -> BasePruner:
    if name == "median":
        return MedianPruner(n_startup_trials=startup_trials)
    return HyperbandPruner() if name == "hyperband" else NopPruner()


def _take(
    study: optuna.Study, space: dict[str, Any], path: Path, trials: int, startup_trials: int, seed: int
) -> tuple[Trial, BaseFileLock] | None:
    """A trial that was left half-done, or a new one while there are fewer than asked for; with the lock that says that
    it is this process's.
    """
    with FileLock(path / "search.lock"):
        known = study.get_trials(deepcopy=False)
        for one in known:
            if one.state == TrialState.RUNNING:
                lock = FileLock(path / f".search-{one.number}.lock", timeout=0)
                try:
                    lock.acquire()
                except Timeout:
                    continue
                return Trial(study, one._trial_id), lock
        if len(known) >= trials:
            return None
        # A seed for each trial: a process that begins draws none again that another drew.
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=startup_trials, seed=seed + len(known))
        lock = FileLock(path / f".search-{len(known)}.lock", timeout=0)
        lock.acquire()
        return study.ask(space), lock


def _do(study: optuna.Study, trial: Trial, fixed: list[str], path: Path, train: Train) -> str:
    """Trains a trial, tells Optuna how it went, and says what was done."""
    overrides = [*fixed, *as_overrides(trial.params)]
    config = compose(overrides)
    folder = path / trial_folder(path, to_plain(config))
    config.run_dir = str(folder)
    trial.set_user_attr("folder", str(folder))
    print(f"trial {trial.number}: {' '.join(as_overrides(trial.params))}", flush=True)
    known = set(study.trials[trial.number].intermediate_values)

    def tell(epoch: int, score: float, over: bool) -> None:
        if epoch not in known:  # as one is that was repeated after an interruption
            trial.report(score, epoch)
        if not over and trial.should_prune():
            raise Pruned(f"by the search after epoch {epoch}")

    about = {"overrides": overrides, "choices": {}, "config": portable(config)}
    began = time.time()
    result = visit(folder, about, lambda resume: train(config, resume, overrides, AfterValidation(tell)))
    _conclude(study, trial, result, folder)
    if result.status == "pruned" and result.started >= began:
        print(f"{folder}: pruned, {result.reason}", flush=True)
    if result.started < began:
        return "repeated" if result.status in DONE else "in another process"
    return result.status if result.status in ("pruned", "failed") else "resumed" if result.starts > 1 else "trained"


def _conclude(study: optuna.Study, trial: Trial, result: Result, folder: Path) -> None:
    known = study.trials[trial.number].intermediate_values
    for epoch, score in read_curve(folder, "segm/AP", "epoch"):  # of a setting that was trained before
        if int(epoch) + 1 not in known:
            trial.report(score, int(epoch) + 1)
    if result.status == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    elif result.status == "finished" and "segm/AP" in result.scores:
        study.tell(trial, result.scores["segm/AP"])
    else:  # also what another process trains under another number, and tells of
        study.tell(trial, state=TrialState.FAIL)
