"""metrics.csv: what was logged, a row each time; one file for the whole of a run, however often it is resumed."""

import csv
import warnings
from pathlib import Path

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from maskrcnn.run_files.whole_rows import read_rows
from maskrcnn.whole_file import replacing


class MetricsFile(CSVLogger):
    """Writes metrics.csv as Lightning's logger does, but goes on with a file that is there.

    Args:
        directory: the folder of the file.
    """

    def __init__(self, *, directory: str) -> None:
        folder = Path(directory)
        super().__init__(save_dir=str(folder.parent), name="", version=folder.name)
        self._experiment: _Writer | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> "_Writer":  # type: ignore[override]
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        return self._experiment

    @property
    def rows(self) -> int:
        """How many rows there are; only rank 0 knows."""
        return self._experiment.count if self._experiment is not None else 0

    @rank_zero_only
    def keep(self, rows: int) -> None:
        """Cuts the file back to its first rows: those from before the checkpoint that a run goes on from."""
        self.experiment.keep(rows)


class _Writer(ExperimentWriter):
    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self.count = 0

    def keep(self, rows: int) -> None:
        path = Path(self.metrics_file_path)
        self.count, self.metrics, self.metrics_keys = 0, [], []
        if path.is_file():
            self._cut(path, rows)
        if self.count < rows:
            warnings.warn(
                f"{path} holds {self.count} of the {rows} rows from before the checkpoint: the others are lost",
                stacklevel=2,
            )

    def _cut(self, path: Path, rows: int) -> None:
        head, kept = read_rows(path)
        kept = kept[:rows]
        if not kept:
            path.unlink()
            return
        self.count, self.metrics_keys = len(kept), head
        self._write(kept)

    def save(self) -> None:
        self.count += len(self.metrics)
        super().save()

    def _write(self, rows: list[dict[str, str]]) -> None:
        with replacing(Path(self.metrics_file_path)) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        head, rows = read_rows(Path(self.metrics_file_path))
        try:
            self._write(rows)  # whole or not at all, other than Lightning's own
        except OSError:
            self.metrics_keys = head  # or rows that follow have more columns than the head
            raise

    def _check_log_dir_exists(self) -> None:
        pass  # Lightning would delete the file
