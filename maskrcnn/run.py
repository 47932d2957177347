"""A training run as a command starts it: alone, or as the trial of a sweep or a search."""

import contextlib
import functools
import shlex
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from maskrcnn.config.build import build
from maskrcnn.config.compose import check, portable, to_plain
from maskrcnn.config.launcher import is_main
from maskrcnn.config.limits import check_limits
from maskrcnn.config.own import find_plugins, own_folder
from maskrcnn.config.run_dir import alone
from maskrcnn.config.written import written
from maskrcnn.start import quieten


def run(config: DictConfig) -> float:
    """Trains alone, or as the trial of a sweep, as Hydra says; returns the mask AP."""
    hydra_config = HydraConfig.get()
    config.run_dir = hydra_config.runtime.output_dir
    overrides = list(hydra_config.overrides.task)
    # Imported late: an error in the configuration shows before torch is loaded.
    if hydra_config.mode == RunMode.MULTIRUN:
        from maskrcnn.sweep.trial import visit

        find_plugins(list(config.plugins))
        about = {"overrides": overrides, "choices": dict(hydra_config.runtime.choices), "config": portable(config)}
        result = visit(Path(config.run_dir), about, lambda resume: run_once(config, resume, overrides, None))
        return result.scores.get("segm/AP", float("nan"))
    from maskrcnn.engine.interruption import Stopped

    try:
        with alone(Path(config.run_dir)) if is_main() else contextlib.nullcontext():
            return run_once(config, config.resume, overrides, None).get("segm/AP", float("nan"))
    except Stopped as stopped:
        if stopped.scores is not None:  # it was at its end, and nothing comes after it
            return stopped.scores.get("segm/AP", float("nan"))
        if stopped.folder is not None and is_main():
            print(f"to go on: {further(stopped.folder, own_folder(hydra_config), overrides)}", flush=True)
        raise


def further(run: Path, own: str | None, overrides: list[str]) -> str:
    """The command that goes on with a run: what of its own, with a folder of choices perhaps, has to be given anew."""
    options = [] if own is None else [f"--config-dir={own}"]
    plugins = [one for one in overrides if one.startswith("plugins=")]
    return shlex.join(["python", "train.py", *options, f"resume={written(str(run))}", *plugins])


def run_once(config: DictConfig, resume: str | None, overrides: list[str], told: Any) -> dict[str, float]:
    """Trains, with a callback beside those of the configuration if there is one."""
    from maskrcnn.engine.architecture import explained
    from maskrcnn.engine.rules import check_channels, check_rules
    from maskrcnn.engine.train import train
    from maskrcnn.run_files import receipt_file
    from maskrcnn.run_files.resume import finished, resolve

    quieten()
    config.resume = resume
    plain = to_plain(config)
    find_plugins(plain["plugins"])
    check(plain, train)
    check_limits(plain)
    check_channels(plain)
    check_rules(plain)
    plain["resume"] = resolve(plain["resume"], plain["run_dir"])
    scores = finished(plain["resume"], portable(config)) if plain["resume"] is not None else None
    if scores is not None:
        if is_main():
            more = "trainer.max_steps" if plain["trainer"].get("max_steps", -1) > 0 else "trainer.max_epochs"
            print(f"the run in {plain['resume']} is finished: nothing to do. {more}=<more> goes on with it.")
        return scores
    parts = build(plain, plain["plugins"])
    parts["callbacks"]["told"] = told
    begin = functools.partial(receipt_file.begin, Path(plain["run_dir"]), plain, overrides, plain["resume"])
    with explained(plain):
        return train(portable(config), begin, **parts)
