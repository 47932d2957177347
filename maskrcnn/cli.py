"""The command line: what each command does with its configuration or its arguments."""

import argparse
import inspect
import os
import sys
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from maskrcnn.config.arguments import tidy
from maskrcnn.config.build import build
from maskrcnn.config.compose import check, to_plain
from maskrcnn.config.explain import ROOT, explain
from maskrcnn.config.groups import choices
from maskrcnn.config.own import find_plugins, own_folder, searching
from maskrcnn.run import run, run_once
from maskrcnn.start import call, explained, packages, quieten, shorten_warnings, start, stoppable

CONVERT, VERIFY = "maskrcnn.commands.convert.convert", "maskrcnn.commands.verify.verify"


def _search(config: DictConfig) -> None:
    try:
        from maskrcnn.sweep.search import search
    except ModuleNotFoundError as error:
        raise ValueError(
            f"a search needs Optuna, and there is no module {error.name}: pip install -e '.[optuna]'"
        ) from error

    plain = to_plain(config)
    find_plugins(plain["plugins"])
    check(plain, search)
    plain["override"] = [*searching(own_folder(HydraConfig.get())), *plain["override"]]  # the choices of trials, too
    if not search(run_once, **plain):
        sys.exit(1)


def _convert(config: DictConfig) -> None:
    if OmegaConf.is_missing(config, "read"):
        raise ValueError(f"choose the format to read by from=...; known: {', '.join(choices('from'))}")
    call(CONVERT, config)


def _inspect(config: DictConfig) -> None:
    from maskrcnn.engine.inspect_data import inspect_data
    from maskrcnn.engine.train import train

    quieten()
    plain = to_plain(config)
    find_plugins(plain["plugins"])
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
    folder = searching(None if given.config_dir is None else os.path.abspath(given.config_dir))
    sys.path.insert(0, os.getcwd())  # for plugins
    try:
        print(explain(key, folder + given.overrides))
    except (ValueError, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")


def _verify(config: DictConfig) -> None:
    sys.exit(call(VERIFY, config))


def _start(name: str) -> None:
    """Starts the command that is one function, in a module of its name."""
    root = f"maskrcnn.commands.{name}.{name}"
    start(name, lambda config: call(root, config), root)


@stoppable()
def train() -> None:
    """`python train.py`: trains; see `--help`. With explain=KEY it explains a key instead, and with
    verify=<run folder> it replays that run's first steps.
    """
    asked = [argument for argument in sys.argv[1:] if argument.startswith("explain=")]
    if asked:
        _explain(asked[0].partition("=")[2], tidy([argument for argument in sys.argv[1:] if argument not in asked]))
    elif any(argument.startswith("verify=") for argument in sys.argv[1:]):
        start("verify", _verify, VERIFY)
    else:
        start("train", run, ROOT)


@stoppable()
def search() -> None:
    """`python search.py space=...`: trains with the settings that Optuna proposes."""
    start("search", _search, "maskrcnn.sweep.search.search")


@stoppable()
def evaluate() -> None:
    """`python evaluate.py checkpoint=...`: scores a checkpoint on its validation pictures."""
    _start("evaluate")


@stoppable()
def predict() -> None:
    """`python predict.py checkpoint=... source=...`: finds instances in pictures and videos."""
    _start("predict")


@stoppable()
def drop() -> None:
    """`python drop.py checkpoint=...`: a page to try a checkpoint by dropping pictures on it."""
    _start("drop")


@stoppable()
def export() -> None:
    """`python export.py checkpoint=...`: writes a model as one file that runs without this package."""
    _start("export")


@stoppable()
def convert() -> None:
    """`python convert_data.py from=... source=... out=...`: turns a data set of one annotation format into another."""
    start("convert", _convert, CONVERT)


@stoppable()
def inspect_data() -> None:
    """`python inspect_data.py data=...`: looks a data set through."""
    start("inspect", _inspect)


@stoppable()
@explained()
def sweep_report() -> None:
    """`python sweep_report.py <folder>`: the table and the page of a sweep, also while it runs."""
    from maskrcnn.sweep.report import report

    if sys.argv[1:] in (["--help"], ["-h"]):
        print("python sweep_report.py multirun/<name>: the table and the page of a sweep, also while it runs")
        return
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("Say which sweep to report on: python sweep_report.py multirun/<name>")
    report(Path(sys.argv[1]))


@stoppable()
@explained()
def replay() -> None:
    """`python replay.py <black box>`: makes a step whose loss was not finite again, and looks for the reason. Packages
    of your own that its configuration names follow the file, as plugins=[mine].
    """
    from maskrcnn.commands.replay import replay

    usage = "python replay.py runs/<name>/blackbox_step_<number>.pt [plugins=[mine]]"
    if sys.argv[1:] in (["--help"], ["-h"]):
        print(f"{usage}: makes a step whose loss was not finite again, and looks for the reason")
        return
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(f"Say which step to make again: {usage}")
    plugins = packages(sys.argv[2:])
    wrong = [one for one in plugins if not all(name.isidentifier() for name in one.split("."))]
    if wrong:
        sys.exit(f"error: {wrong[0]}: after the file come names of packages only: {usage}")
    shorten_warnings()
    find_plugins(plugins)
    sys.exit(replay(Path(sys.argv[1]), plugins))


@stoppable()
@explained()
def compare() -> None:
    """`python compare.py runs/a runs/b`: what two runs differ in, and whether their AP does by more than luck."""
    parser = argparse.ArgumentParser(
        prog="compare.py",
        description="Compares two trained runs, or two sides of several runs each (their folders joined by commas).",
    )
    parser.add_argument("a", help="folder of a run, or several: runs/a0,runs/a1")
    parser.add_argument("b", help="the same of the other side")
    parser.add_argument(
        "plugins", nargs="*", default=[], help="plugins=[mine]: packages of your own that their configurations name"
    )
    parser.add_argument("--config-dir", "-cd", help="folder of your own choices that they were started with")
    given = parser.parse_intermixed_args()
    if given.config_dir is not None and not os.path.isdir(given.config_dir):
        raise ValueError(f"--config-dir: there is no folder {given.config_dir}")
    from maskrcnn.commands.compare import compare as compare_runs

    quieten()
    folders = [one for one in given.plugins if "/" in one and not one.startswith("plugins=")]
    if folders:
        raise ValueError(
            f"{folders[0]}: two sides are compared; join the runs of a side by a comma, such as runs/a0,runs/a1 runs/b"
        )
    plugins = packages(given.plugins)
    find_plugins(plugins)
    a, b = ([Path(one) for one in side.split(",")] for side in (given.a, given.b))
    compare_runs(a, b, plugins, given.config_dir and os.path.abspath(given.config_dir))
