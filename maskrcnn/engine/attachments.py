"""What experiment trackers get besides numbers: the configuration, pictures and the receipt."""

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import yaml
from PIL import Image
from pytorch_lightning.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger

from maskrcnn.data.header import any_size
from maskrcnn.run_files import receipt_file


def to_tensorboard(logger: TensorBoardLogger, kind: str, path: Path, step: int) -> None:
    """Shows a PNG as an image, another file as text."""
    if path.suffix == ".png":
        with any_size, Image.open(path) as picture:
            logger.experiment.add_image(kind, np.asarray(picture), step, dataformats="HWC")
    else:
        logger.experiment.add_text(kind, f"```\n{path.read_text(encoding='utf-8')}\n```", step)


def to_wandb(logger: WandbLogger, kind: str, path: Path, step: int) -> None:
    """Shows a PNG in the run's media, keeps another file among its files, and a configuration as its config."""
    if path.suffix == ".png":
        logger.log_image(kind, [str(path)], step)
        return
    if kind == "config":
        logger.experiment.config.update(yaml.safe_load(path.read_text(encoding="utf-8")), allow_val_change=True)
    logger.experiment.save(str(path), base_path=str(path.parent), policy="now")


def to_mlflow(logger: MLFlowLogger, kind: str, path: Path, step: int) -> None:
    """Keeps a file as an artifact, and a configuration as parameters too, as those of a resumed run cannot change."""
    if kind == "config" and step == 0:
        logger.log_hyperparams(yaml.safe_load(path.read_text(encoding="utf-8")))
    logger.experiment.log_artifact(logger.run_id, str(path), kind)


class Attachments(pl.Callback):
    """Hands the files of a run's folder to its trackers: config.yaml at the start, the sheet of pictures after each
    validation, receipt.json at the end, also at that of an interrupted run.

    Args:
        directory: the run's folder.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._attach(trainer, "config", self.directory / "config.yaml")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._attach(trainer, "pictures", self.directory / "pictures" / f"step_{trainer.global_step:06d}.png")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._attach(trainer, "receipt", self.directory / receipt_file.NAME)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._attach(trainer, "receipt", self.directory / receipt_file.NAME)

    def _attach(self, trainer: pl.Trainer, kind: str, path: Path) -> None:
        if not trainer.is_global_zero or not path.is_file():
            return
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                to_tensorboard(logger, kind, path, trainer.global_step)
            elif isinstance(logger, WandbLogger):
                to_wandb(logger, kind, path, trainer.global_step)
            elif isinstance(logger, MLFlowLogger):
                to_mlflow(logger, kind, path, trainer.global_step)
