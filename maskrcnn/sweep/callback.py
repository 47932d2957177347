"""What a sweep does at its end, by Hydra's callbacks."""

import shutil
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from maskrcnn.config.reason import reason
from maskrcnn.sweep.choices import check_choices
from maskrcnn.sweep.collect import check_folder
from maskrcnn.sweep.result import DONE, Result, read_result

DID = ("trained", "resumed", "skipped", "failed", "in another process")


class SweepCallback(Callback):
    """Counts what was done and reports it; the exit status is 1 if a trial failed.

    Launchers send copies of it to their processes. So each trial's end is a file of its own, in a folder that only
    this start of the sweep knows.
    """

    def __init__(self) -> None:
        self.name = f".started-{uuid.uuid4().hex[:8]}"
        self.began = 0.0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuses what a sweep does by itself, a run's folder and choices that cannot be; Hydra would only warn of an
        exception.
        """
        if config.resume is not None:
            sys.exit(
                "error: resume=... is for a run alone; a sweep goes on where it was stopped: repeat its command "
                "without it"
            )
        try:
            check_folder(Path(config.hydra.sweep.dir))
            check_choices(config, config.hydra.job.config_name)
        except ValueError as error:
            sys.exit(f"error: {error}")

    def on_job_start(self, config: DictConfig, *, task_function: Any, **kwargs: Any) -> None:
        """Remembers when, in the process of the trial."""
        self.began = time.time()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Notes what was done for a trial."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        folder = Path(config.hydra.sweep.dir) / self.name
        folder.mkdir(exist_ok=True)
        did = self._did(read_result(Path(config.hydra.runtime.output_dir)))
        (folder / str(config.hydra.job.num)).write_text(did, encoding="utf-8")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Prints numbers and table, and writes the report."""
        from maskrcnn.sweep.report import report  # late: it loads what an error in a command line need not wait for

        folder = Path(config.hydra.sweep.dir)
        did = Counter(path.read_text(encoding="utf-8") for path in (folder / self.name).glob("*"))
        shutil.rmtree(folder / self.name, ignore_errors=True)
        try:
            report(folder)
        except (ValueError, OSError) as error:  # of which Hydra would only warn
            sys.exit(f"error: the report of {folder} is not written: {reason(error)}")
        print("this time: " + ", ".join(f"{did[what]} {what}" for what in DID if did[what] or what in DID[:4]))
        if did["failed"]:
            sys.exit(1)

    def _did(self, result: Result | None) -> str:
        if result is None or result.status == "failed":
            return "failed"
        if result.started < self.began:
            return "skipped" if result.status in DONE else "in another process"
        return "resumed" if result.starts > 1 else "trained"
