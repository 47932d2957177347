"""One training run: from built parts to checkpoints, metrics and pictures."""

import math
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from rich.console import Console

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine import checkpoint
from maskrcnn.engine.checkpoint_file import CheckpointFile
from maskrcnn.engine.inspect_data import limits
from maskrcnn.engine.interruption import Interruption
from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.optimizer import REFERENCE_BATCH, Optimizer, Schedule
from maskrcnn.engine.report import print_scores
from maskrcnn.inspection.inspection import glance
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.weights import load_weights


def seed_everything(seed: int) -> None:
    """Seeds what draws initial weights; sampling and augmentation are functions of (seed, epoch, index, repeat)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - what libraries draw from, not we
    torch.manual_seed(seed)


def total_steps(trainer: pl.Trainer, batches: int) -> int:
    """Optimiser steps of the whole run, of `batches` batches an epoch; from the configuration alone, so that asking
    does not build the loaders before a resumed run has restored them.
    """
    limit = trainer.limit_train_batches
    batches = min(limit, batches) if isinstance(limit, int) else int(batches * limit)
    steps = math.ceil(batches / trainer.accumulate_grad_batches) * (trainer.max_epochs or 0)
    return min(steps, trainer.max_steps) if trainer.max_steps > 0 else steps


def train(
    config: dict[str, Any],
    *,
    seed: int,
    run_dir: str,
    plugins: list[str],
    data: CocoDataModule,
    model: Callable[[int, int], MaskRCNN],
    weights: str | None,
    resume: str | None,
    compile: bool,
    optimizer: Optimizer,
    schedule: Schedule,
    loss_weights: dict[str, float],
    trainer: Callable[..., pl.Trainer],
    callbacks: dict[str, pl.Callback | None],
    logger: dict[str, Logger | None],
) -> dict[str, float]:
    """Trains a model; its keyword parameters are the top level of the configuration.

    Args:
        config: the resolved configuration, kept in checkpoints.
        seed: of initial weights, order, augmentation and sampling.
        run_dir: where everything is written.
        plugins: packages besides ours that the configuration may name.
        data: the data set; model: makes the detector from the numbers of classes and of channels.
        weights: file or known name to start from; resume: folder of a run to go on with.
        compile: make one graph of the training step with torch.compile.
        optimizer, schedule, loss_weights: how it learns.
        trainer: makes Lightning's Trainer from callbacks, logger and folder.
        callbacks, logger: by name; null leaves one out.

    Returns:
        The last validation's numbers.

    Raises:
        ValueError: data, weights or configuration do not fit; the message says what to change.
    """
    console = Console()
    model(1, data.read.channels)  # refuses values that do not fit together, before data is read
    data.prepare_data()
    data.setup("fit")
    seed_everything(seed)
    detector = model(len(data.classes), data.read.channels)
    for sentence in glance(data.selection.used(data.source.splits(data.root)), limits(data, detector)):
        console.print(f"{sentence}: python inspect_data.py shows more", highlight=False, soft_wrap=True)
    if weights is not None:
        for note in load_weights(detector, weights, list(data.train_annotations.category_ids)):
            console.print(note, highlight=False)
    if compile:
        detector.compile(fullgraph=True)
    chosen = [callback for callback in callbacks.values() if callback is not None]
    chosen.append(Interruption(_last_checkpoint(Path(run_dir))))
    engine = trainer(
        callbacks=chosen,
        logger=[one for one in logger.values() if one is not None],
        default_root_dir=run_dir,
        plugins=[CheckpointFile()],
        enable_progress_bar=sys.stdout.isatty(),
    )
    images_per_step = data.batch_size * engine.accumulate_grad_batches * engine.world_size
    steps = total_steps(engine, data.train_batches(engine.world_size))
    if steps < 1:
        raise ValueError(
            f"there is nothing to train: {len(data.train_annotations.records)} pictures, batches of {data.batch_size}, "
            f"max_epochs {engine.max_epochs}, max_steps {engine.max_steps}"
        )
    console.print(
        f"{len(data.train_annotations.records)} training and {len(data.val_annotations.records)} validation pictures, "
        f"{len(data.classes)} classes; {steps} steps of {images_per_step} images; learning rate "
        f"{optimizer.scaled_lr(images_per_step):.4g} ({optimizer.lr:.4g} for {REFERENCE_BATCH} images, "
        f"{'scaled' if optimizer.scale_lr else 'not scaled'}); writing to {run_dir}",
        highlight=False,
        soft_wrap=True,
    )
    if data.selection_notes:
        console.print(f"selected: {'; '.join(data.selection_notes)}", highlight=False, soft_wrap=True)
    content = checkpoint.content(config, list(data.classes), list(data.train_annotations.category_ids))
    module = MaskRCNNModule(detector, optimizer, schedule, loss_weights, steps, images_per_step, content)
    start = None if resume is None else _last_checkpoint(Path(resume))
    if start is not None:
        for line in changes(checkpoint.read(start)["maskrcnn"]["config"], config):
            console.print(f"resumed with another {line}", highlight=False, soft_wrap=True)
        _keep_metrics(Path(run_dir))
    engine.fit(module, datamodule=data, ckpt_path=start)
    scores = {name: value.item() for name, value in engine.callback_metrics.items() if "/" in name}
    mean_ap = next((callback for callback in chosen if isinstance(callback, MeanAP)), None)
    if mean_ap is not None and "segm/AP" in scores:
        print_scores(console, scores, mean_ap.evaluator.per_class())
    written = [
        Path(run_dir) / name
        for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics/metrics.csv", "pictures")
    ]
    for path in written:
        if path.exists():
            console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    return scores


def _last_checkpoint(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def check_channels(config: dict[str, Any]) -> None:
    """Makes sure that the model normalises as many channels as pictures have, before any is read.

    Args:
        config: the resolved configuration.

    Raises:
        ValueError: it does not; the message says what to set.
    """
    channels = config["data"]["channels"]
    if min(config["model"]["pixel_std"], default=1) <= 0:
        raise ValueError(f"model.pixel_std is {config['model']['pixel_std']}; every channel needs a value above 0")
    for name in ("pixel_mean", "pixel_std"):
        values = config["model"][name]
        if len(values) != channels:
            raise ValueError(
                f"model.{name} has {len(values)} values, but data.channels is {channels}: give model.pixel_mean and "
                f"model.pixel_std {channels} each, of the training pictures' channels in 0..255, such as "
                f"model.{name}=[{','.join(['127.5'] * channels)}]; or change data.channels"
            )


def check_folders(run_dir: str, resume: str | None) -> None:
    """Makes sure that a new run writes over none, and that a resumed one has something to go on with.

    Raises:
        ValueError: it would, or has not.
    """
    if resume is None and any(Path(run_dir).glob("checkpoints/*.ckpt")):
        raise ValueError(
            f"run_dir={run_dir} holds a run already: resume={run_dir} goes on with it, another run_dir starts afresh"
        )
    if resume is not None and not _last_checkpoint(Path(resume)).is_file():
        path = _last_checkpoint(Path(resume))
        raise ValueError(f"resume={resume}: there is no {path}; name the folder of a run that has saved one")


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Where a run's configuration differs from the one that it is resumed from: "key: old -> new" each.

    Args:
        before, now: configurations with nested mappings. Folders do not count.
    """
    flat = [dict(_leaves(config, "")) for config in (before, now)]
    names = sorted((flat[0].keys() | flat[1].keys()) - {"run_dir", "resume"})
    return [
        f"{name}: {flat[0].get(name, 'absent')} -> {flat[1].get(name, 'absent')}"
        for name in names
        if flat[0].get(name, "absent") != flat[1].get(name, "absent")
    ]


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _keep_metrics(run_dir: Path) -> None:
    """Puts the metrics so far aside as metrics_1.csv, ...: Lightning's logger starts its file anew."""
    path = run_dir / "metrics" / "metrics.csv"
    if path.is_file():
        number = 1 + len(list(path.parent.glob("metrics_*.csv")))
        path.rename(path.with_name(f"metrics_{number}.csv"))
