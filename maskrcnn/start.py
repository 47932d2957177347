"""How a command starts: its configuration is composed, and a user's mistake ends in one sentence."""

import contextlib
import functools
import importlib
import logging
import os
import shlex
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskrcnn.config.arguments import tidy
from maskrcnn.config.build import build
from maskrcnn.config.complaint import complain, dashes, unchosen
from maskrcnn.config.compose import check, to_plain
from maskrcnn.config.cores import keep_to_quota
from maskrcnn.config.early import check_early
from maskrcnn.config.groups import CONF, PACKAGE
from maskrcnn.config.launcher import is_main, launched, rank_name
from maskrcnn.config.limits import check_limits
from maskrcnn.config.own import find_plugins
from maskrcnn.config.printable import printable
from maskrcnn.config.reason import reason
from maskrcnn.config.recall import recall
from maskrcnn.config.run_dir import claimed, remove_start
from maskrcnn.config.trial_names import sweep_name  # noqa: F401 - known to conf/ once imported

# With one of these a start is none of a run alone.
OPTIONS = set(["-m", "--multirun", "-h", "--help", "--hydra-help", "-c", "--cfg", "-i", "--info", "--version"])


def start(config_name: str, task: Callable[[DictConfig], Any], root: str | None = None) -> None:
    """Runs a task under Hydra; a user's mistake ends in one sentence, everything else in its traceback.

    Args:
        config_name: train, evaluate, ...
        task: gets the composed configuration.
        root: name of the function whose parameters are the configuration's top level; None where they are of several.
    """
    sys.argv[1:] = tidy(sys.argv[1:])
    if config_name == "search" and {"-m", "--multirun"} & set(sys.argv[1:]):
        sys.exit("error: a search tries settings by itself: leave out -m, and name what to vary in space=...")
    unreadable = dashes(sys.argv[1:], config_name) or unchosen(sys.argv[1:])
    if unreadable is not None:
        sys.exit(f"error: {unreadable}")
    shorten_warnings()
    keep_to_quota()
    if config_name == "train":
        try:
            sys.argv[1:], recalled = recall(sys.argv[1:])
        except ValueError as error:
            sys.exit(f"error: {error}")
        if recalled and is_main():
            print(printable(f"as the run was started: {shlex.join(recalled)}"))
    if not is_main():  # one process of a run writes files
        sys.argv += ["hydra.output_subdir=null"]
    if "HYDRA_FULL_ERROR" in os.environ:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(task)()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves the errors to us.

    begun = time.time() - 1  # file systems keep coarser time
    given = [one.partition("=")[2].strip("\"'") for one in sys.argv[1:] if one.startswith(("run_dir=", "resume="))]
    there = any(Path(folder).exists() for folder in given)
    alone = config_name == "train" and not given and not launched() and not OPTIONS & set(sys.argv[1:])

    @functools.wraps(task)
    def in_one_sentence(config: DictConfig) -> Any:
        del os.environ["HYDRA_FULL_ERROR"]  # or processes that the task starts take it for the user's wish
        try:
            if HydraConfig.get().mode == RunMode.RUN:
                check_early(to_plain(config), root)
                check_limits(to_plain(config))
            return task(config)
        except BrokenPipeError:
            _end_unread()  # raised, Hydra would print a line of its own before it
        except (ValueError, OSError) as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # Hydra notes it, and the other trials go on.
            if config_name == "train" and is_main():
                remove_start(Path(HydraConfig.get().runtime.output_dir), begun, there)
            if isinstance(error, OmegaConfBaseException):  # which are ValueErrors where an interpolation fails
                sys.exit(f"error: {complain(error, config_name, sys.argv[1:])}")
            sys.exit(_sentence(error))  # Raised, Hydra would print a line of its own before it.
        except KeyboardInterrupt:  # before there was anything to keep
            if config_name == "train" and is_main() and HydraConfig.get().mode == RunMode.RUN:
                remove_start(Path(HydraConfig.get().runtime.output_dir), begun, there)
            raise
        finally:
            os.environ["HYDRA_FULL_ERROR"] = "1"

    try:
        with claimed() if alone else contextlib.nullcontext():
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(in_one_sentence)()
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {complain(error, config_name, sys.argv[1:])}")
    except yaml.YAMLError as error:  # names the file and the line
        sys.exit(f"error: {' '.join(str(error).split())}")
    except BrokenPipeError:
        raise  # to `stoppable`
    except (ValueError, OSError) as error:
        sys.exit(_sentence(error))


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Ends a command in a word at Ctrl-C, where nothing else does, and without one where nobody reads on, as in
    `python train.py --help | head`; to decorate it with.
    """
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        _end_unread()


def _end_unread() -> NoReturn:
    """Ends a command whose output nobody reads on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
    sys.exit(128 + 13)  # as after SIGPIPE, which Windows lacks


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Ends a command that is not started by `start` in a sentence at a user's mistake; to decorate it with."""
    try:
        yield
    except BrokenPipeError:
        raise  # to `stoppable`
    except (ValueError, OSError) as error:
        sys.exit(f"error: {reason(error)}")


def call(root: str, config: DictConfig) -> Any:
    """Checks a configuration against the parameters of the function that `root` names, builds them, and calls it."""
    module, _, name = root.rpartition(".")
    task = getattr(importlib.import_module(module), name)  # late: a mistake in the command line needs no torch
    quieten()
    plain = to_plain(config)
    find_plugins(plain["plugins"])
    check(plain, task)
    return task(**build(plain, plain["plugins"]))


def packages(words: list[str]) -> list[str]:
    """Names of packages, each a word of its own or, as an override, plugins=[a,b]."""
    names = [name.strip() for word in words for name in word.removeprefix("plugins=").strip("[]").split(",")]
    return [name for name in names if name]


def _sentence(error: Exception) -> str:
    where = "" if is_main() else f"{rank_name()}: "
    raised = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    # What we raise says what to do; of other code, and of plugins that we call, people want to know the line.
    known = raised.is_relative_to(PACKAGE) and not any(one.startswith("plugins=") for one in sys.argv)
    hint = "" if known else "\n(HYDRA_FULL_ERROR=1 shows where it was raised)"
    return f"{where}error: {reason(error)}{hint}"


def quieten() -> None:
    """Leaves out what Lightning says of itself at every start; call it once Lightning is imported."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric.strategies.launchers").setLevel(logging.INFO)  # that a rank was killed
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler tells of its start and its stop
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6.6 under torch 2.13
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # we choose their number by measuring
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # what we log is the same on all ranks
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # resumed, or retried
    # Steps are counted over all epochs, so that they are logged nevertheless.
    warnings.filterwarnings("ignore", message="The number of training batches .* smaller than the logging interval")
    shorten_warnings()  # again, where a sweep runs its trials in other processes


def shorten_warnings() -> None:
    """Gives a warning one line, without our file and line, and that of one process of a run only."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {printable(str(message))}\n"
    if not is_main():
        warnings.filterwarnings("ignore")
