"""The command line: composes and checks a configuration, then runs what it describes."""

import argparse
import functools
import inspect
import logging
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskrcnn.config.build import build
from maskrcnn.config.complaint import complain, dashes
from maskrcnn.config.compose import check, portable, to_plain
from maskrcnn.config.explain import explain
from maskrcnn.config.groups import CONF
from maskrcnn.config.launcher import check_sweep, is_main, rank_name
from maskrcnn.config.run_dir import remove_start
from maskrcnn.config.trial_names import sweep_name  # noqa: F401 - known to conf/ once imported


def _commit() -> str:
    """The code's commit, shortened, with a + where tracked files differ from it."""
    from maskrcnn.engine.commit import read_commit

    commit = read_commit(Path(__file__))
    return "unknown" if commit is None else commit.name[:10] + ("+" if commit.diff else "")


def _run(config_name: str, task: Callable[[DictConfig], Any]) -> None:
    """Runs a task under Hydra; a user's mistake ends in one sentence, everything else in its traceback."""
    dashed = dashes(sys.argv[1:])
    if dashed is not None:
        sys.exit(f"error: {dashed}")
    _shorten_warnings()
    if not is_main():  # one process of a run writes files
        sys.argv += ["hydra/job_logging=stdout", "hydra.output_subdir=null"]
    if "HYDRA_FULL_ERROR" in os.environ:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(task)()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves the errors to us.

    begun = time.time() - 1  # file systems keep coarser time

    @functools.wraps(task)
    def in_one_sentence(config: DictConfig) -> Any:
        del os.environ["HYDRA_FULL_ERROR"]  # or processes that the task starts take it for the user's wish
        try:
            return task(config)
        except (ValueError, OSError) as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # Hydra notes it, and the other trials go on.
            if config_name == "train" and is_main():
                remove_start(Path(HydraConfig.get().runtime.output_dir), begun)
            sys.exit(_sentence(error))  # Raised, Hydra would print a line of its own before it.
        finally:
            os.environ["HYDRA_FULL_ERROR"] = "1"

    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(in_one_sentence)()
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {complain(error, config_name, sys.argv[1:])}")
    except yaml.YAMLError as error:  # names the file and the line
        sys.exit(f"error: {' '.join(str(error).split())}")
    except (ValueError, OSError) as error:
        sys.exit(_sentence(error))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _reason(error: Exception) -> str:
    # torch hands an error of a data worker on with the worker's traceback before it.
    worker = re.match(r"Caught \w+ in DataLoader worker.*\n\w+: (.*)", str(error), re.DOTALL)
    return worker[1].strip() if worker else str(error)


def _sentence(error: Exception) -> str:
    where = "" if is_main() else f"{rank_name()}: "
    return f"{where}error: {_reason(error)}\n(HYDRA_FULL_ERROR=1 shows where it was raised)"


def _quieten() -> None:
    """Leaves out what Lightning says of itself at every start; call it once Lightning is imported."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler tells of its start and its stop
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6.6 under torch 2.13
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # we choose their number by measuring
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # what we log is the same on all ranks
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # resumed, or retried
    _shorten_warnings()  # again, where a sweep runs its trials in other processes


def _shorten_warnings() -> None:
    """Gives a warning one line, without our file and line, and that of one process of a run only."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    if not is_main():
        warnings.filterwarnings("ignore")


def _find_plugins(plugins: list[str]) -> None:
    """Makes packages in the current folder importable, if the command line names any."""
    if plugins:
        sys.path.insert(0, os.getcwd())


def _train(config: DictConfig) -> float:
    # Imported late: an error in the configuration's composition shows before torch is loaded.
    from maskrcnn.engine.interruption import Stopped
    from maskrcnn.sweep.trial import visit

    hydra_config = HydraConfig.get()
    config.run_dir = hydra_config.runtime.output_dir
    overrides = list(hydra_config.overrides.task)
    if hydra_config.mode == RunMode.MULTIRUN:
        about = {"overrides": overrides, "choices": dict(hydra_config.runtime.choices), "config": portable(config)}
        result = visit(
            Path(config.run_dir),
            about,
            _commit(),
            lambda resume: _train_trial(config, resume, overrides, None),
            _reason,
        )
        return result.scores.get("segm/AP", float("nan"))
    try:
        return _train_run(config, config.resume, overrides, False, None).get("segm/AP", float("nan"))
    except Stopped as stopped:
        if stopped.folder is not None and is_main():
            print(f"to go on, repeat the command with resume={stopped.folder}", flush=True)
        raise


def _train_trial(config: DictConfig, resume: str | None, overrides: list[str], told: Any) -> dict[str, float]:
    return _train_run(config, resume, overrides, True, told)


def _train_run(
    config: DictConfig, resume: str | None, overrides: list[str], trial: bool, told: Any
) -> dict[str, float]:
    """Trains, as a trial of a sweep or not, with a callback beside those of the configuration if there is one."""
    from maskrcnn.engine import receipt_file
    from maskrcnn.engine.architecture import explained
    from maskrcnn.engine.resume import finished, resolve
    from maskrcnn.engine.rules import check_channels, check_rules
    from maskrcnn.engine.train import train

    _quieten()
    config.resume = resume
    plain = to_plain(config)
    _find_plugins(plain["plugins"])
    check(plain, train)
    check_channels(plain)
    check_rules(plain)
    if trial:
        check_sweep(plain["trainer"])
    plain["resume"] = resolve(plain["resume"], plain["run_dir"])
    scores = finished(plain["resume"], portable(config)) if plain["resume"] is not None else None
    if scores is not None:
        if is_main():
            print(f"the run in {plain['resume']} is finished: nothing to do. A longer schedule goes on with it.")
        return scores
    parts = build(plain, plain["plugins"])
    parts["callbacks"]["told"] = told
    begin = functools.partial(receipt_file.begin, Path(plain["run_dir"]), plain, overrides, plain["resume"])
    with explained(plain):
        return train(portable(config), begin, **parts)


def _search(config: DictConfig) -> None:
    try:
        from maskrcnn.sweep.search import search
    except ModuleNotFoundError as error:
        raise ValueError(
            f"a search needs Optuna, and there is no module {error.name}: pip install -e '.[optuna]'"
        ) from error

    plain = to_plain(config)
    _find_plugins(plain["plugins"])
    check(plain, search)
    GlobalHydra.instance().clear()  # each trial composes a configuration of its own
    if not search(_train_trial, _commit(), _reason, **plain):
        sys.exit(1)


def _call(task: Callable[..., Any], config: DictConfig) -> Any:
    """Checks a configuration against a task's parameters, builds them, and calls it."""
    plain = to_plain(config)
    _find_plugins(plain["plugins"])
    check(plain, task)
    return task(**build(plain, plain["plugins"]))


def _evaluate(config: DictConfig) -> None:
    from maskrcnn.engine.evaluate import evaluate

    _quieten()
    _call(evaluate, config)


def _predict(config: DictConfig) -> None:
    from maskrcnn.engine.predict import predict

    _call(predict, config)


def _drop(config: DictConfig) -> None:
    from maskrcnn.engine.drop import drop

    _call(drop, config)


def _export(config: DictConfig) -> None:
    from maskrcnn.engine.export import export

    _call(export, config)


def _convert(config: DictConfig) -> None:
    from maskrcnn.engine.convert import convert

    plain = to_plain(config)
    if plain["read"] == "???":
        known = sorted(path.stem for path in CONF.glob("from/*.yaml"))
        raise ValueError(f"choose the format to read by from=...; known: {', '.join(known)}")
    _find_plugins(plain["plugins"])
    check(plain, convert)
    convert(**build(plain, plain["plugins"]))


def _inspect(config: DictConfig) -> None:
    from maskrcnn.engine.inspect_data import inspect_data
    from maskrcnn.engine.train import train

    _quieten()
    plain = to_plain(config)
    _find_plugins(plain["plugins"])
    own, trained = (inspect.signature(task).parameters for task in (inspect_data, train))
    check({key: value for key, value in plain.items() if key in trained or key not in own}, train)
    channels = plain["data"]["channels"]  # whose means are only to be found
    plain["model"] |= {"pixel_mean": [0.0] * channels, "pixel_std": [1.0] * channels}
    options = {key: value for key, value in plain.items() if key in own}
    check(options, inspect_data)
    if not inspect_data(**build(options, plain["plugins"])):
        sys.exit(1)


def _explain(key: str, arguments: list[str]) -> None:
    given = get_args_parser().parse_args(arguments)
    folder = [] if given.config_dir is None else [f"hydra.searchpath=['file://{os.path.abspath(given.config_dir)}']"]
    sys.path.insert(0, os.getcwd())  # for plugins
    try:
        print(explain(key, folder + given.overrides))
    except (ValueError, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")


def _verify(config: DictConfig) -> None:
    from maskrcnn.engine.verify import verify

    _quieten()
    sys.exit(_call(verify, config))


def train() -> None:
    """`python train.py`: trains; see `--help`. With explain=KEY it explains a key instead, and with
    verify=<run folder> it replays that run's first steps.
    """
    asked = [argument for argument in sys.argv[1:] if argument.startswith("explain=")]
    if asked:
        _explain(asked[0].partition("=")[2], [argument for argument in sys.argv[1:] if argument not in asked])
    elif any(argument.startswith("verify=") for argument in sys.argv[1:]):
        _run("verify", _verify)
    else:
        _run("train", _train)


def search() -> None:
    """`python search.py space=...`: trains with the settings that Optuna proposes."""
    _run("search", _search)


def evaluate() -> None:
    """`python evaluate.py checkpoint=...`: scores a checkpoint on its validation pictures."""
    _run("evaluate", _evaluate)


def predict() -> None:
    """`python predict.py checkpoint=... source=...`: finds instances in pictures and videos."""
    _run("predict", _predict)


def drop() -> None:
    """`python drop.py checkpoint=...`: a page to try a checkpoint by dropping pictures on it."""
    _run("drop", _drop)


def export() -> None:
    """`python export.py checkpoint=...`: writes a model as one file that runs without this package."""
    _run("export", _export)


def convert() -> None:
    """`python convert_data.py from=... source=... out=...`: turns a data set of one annotation format into another."""
    _run("convert", _convert)


def inspect_data() -> None:
    """`python inspect_data.py data=...`: looks a data set through."""
    _run("inspect", _inspect)


def sweep_report() -> None:
    """`python sweep_report.py <folder>`: the table and the page of a sweep, also while it runs."""
    from maskrcnn.sweep.report import report

    if sys.argv[1:] in (["--help"], ["-h"]):
        print("python sweep_report.py multirun/<name>: the table and the page of a sweep, also while it runs")
        return
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("Say which sweep to report on: python sweep_report.py multirun/<name>")
    try:
        report(Path(sys.argv[1]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def replay() -> None:
    """`python replay.py <black box>`: makes a step whose loss was not finite again, and looks for the reason. Packages
    of your own that its configuration names follow the file.
    """
    from maskrcnn.engine.replay import replay

    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("Say which step to make again: python replay.py runs/<name>/blackbox_step_<number>.pt [plugin ...]")
    _shorten_warnings()
    _find_plugins(sys.argv[2:])
    try:
        sys.exit(replay(Path(sys.argv[1]), sys.argv[2:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def compare() -> None:
    """`python compare.py runs/a runs/b`: what two runs differ in, and whether their AP does by more than luck."""
    parser = argparse.ArgumentParser(
        prog="compare.py",
        description="Compares two trained runs, or two sides of several runs each (their folders joined by commas).",
    )
    parser.add_argument("a", help="folder of a run, or several: runs/a0,runs/a1")
    parser.add_argument("b", help="the same of the other side")
    parser.add_argument("plugins", nargs="*", help="packages of your own that their configurations name")
    given = parser.parse_args()
    from maskrcnn.engine.compare import compare as compare_runs

    _quieten()
    _find_plugins(given.plugins)
    try:
        a, b = ([Path(one) for one in side.split(",")] for side in (given.a, given.b))
        compare_runs(a, b, given.plugins)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
