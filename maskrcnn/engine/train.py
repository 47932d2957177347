"""One training run: from built parts to checkpoints, metrics and pictures."""

import random
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from rich.console import Console

from maskrcnn.config.launcher import is_main
from maskrcnn.config.run_dir import last_checkpoint
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.few import counted
from maskrcnn.engine import lost_workers, ranks, unfit
from maskrcnn.engine.accumulation import Accumulation
from maskrcnn.engine.attachments import Attachments
from maskrcnn.engine.console import Terminal, say
from maskrcnn.engine.early_stopping import why_stopped
from maskrcnn.engine.freeze import Freeze
from maskrcnn.engine.inspect_data import limits
from maskrcnn.engine.interruption import Interruption, Stopped
from maskrcnn.engine.last_checkpoint import LastCheckpoint
from maskrcnn.engine.length import left_out, total_steps
from maskrcnn.engine.mean_ap import find_mean_ap
from maskrcnn.engine.metrics_file import MetricsFile
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.optimizer import REFERENCE_BATCH, Optimizer, Schedule
from maskrcnn.engine.out_of_memory import OutOfMemory
from maskrcnn.engine.print_scores import print_scores
from maskrcnn.engine.profile import Profile
from maskrcnn.engine.recorded_losses import RecordedLosses
from maskrcnn.engine.splitting import SplittingModule, check_splittable
from maskrcnn.inspection.inspection import glance
from maskrcnn.modeling.layouts import Colours
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.weights import PUBLISHED, check_there, load_weights
from maskrcnn.run_files import checkpoint
from maskrcnn.run_files.resume import Resumption, read

WRITTEN = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics/metrics.csv", "pictures", "report.html")


def seed_everything(seed: int) -> None:
    """Seeds what draws initial weights; sampling and augmentation are functions of (seed, epoch, index, repeat)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - what libraries draw from, not we
    torch.manual_seed(seed)


def train(
    config: dict[str, Any],
    begin: Callable[[], None],
    *,
    seed: int,
    run_dir: str,
    plugins: list[str],
    data: CocoDataModule,
    model: Callable[[int, int], MaskRCNN],
    weights: str | None,
    weights_colours: Colours | None,
    resume: str | None,
    compile: bool,
    cuda_graphs: bool,
    accumulation: Accumulation,
    out_of_memory: OutOfMemory,
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
        begin: notes the start, on rank 0, once it is known that there is something to train.
        seed: of initial weights, order, augmentation and sampling.
        run_dir: where everything is written.
        plugins: packages besides ours that the configuration may name.
        data: the data set; model: makes the detector from the numbers of classes and of channels.
        weights: file or known name to start from.
        weights_colours: the order that its first convolution reads; null for what is usual with its project: BGR of
            Detectron2's and of MMDetection's of style caffe, RGB of others.
        resume: folder of a run to go on with.
        compile: make one graph of the training step with torch.compile.
        cuda_graphs: record the training step on a GPU, once for each shape of batch, and replay it.
        accumulation: what micro-batches count in a step.
        out_of_memory: what is done where memory is too little.
        optimizer, schedule, loss_weights: how it learns.
        trainer: makes Lightning's Trainer from callbacks, logger and folder.
        callbacks, logger: by name; null leaves one out.

    Returns:
        The last validation's numbers.

    Raises:
        Stopped: by a signal, also where it came too late to stop this run.
        ValueError: data, weights or configuration do not fit; the message says what to change.
    """
    console = Terminal(quiet=not is_main())
    chosen = [callback for callback in callbacks.values() if callback is not None]
    last = next((callback for callback in chosen if isinstance(callback, LastCheckpoint)), None)
    interruption = Interruption(last)
    # The trial of the largest batch comes first: parts that are frozen at the start learn later.
    chosen = [one for one in (out_of_memory, last, interruption) if one is not None] + [
        one for one in chosen if one is not last
    ]
    chosen.append(Attachments(Path(run_dir)))  # behind what writes the files
    engine = _make_trainer(trainer, chosen, [one for one in logger.values() if one is not None], run_dir)
    with warnings.catch_warnings(action="ignore"):  # which the one that learns gives too
        check_parts(model(1, data.read.channels), optimizer, chosen)
    if weights is not None and weights not in PUBLISHED:
        check_there(Path(weights))
    data.prepare_data()
    data.setup("fit")
    seed_everything(seed)
    detector = model(len(data.classes), data.read.channels)
    sources = data.selection.used(data.source.splits(data.root))
    for sentence in glance(sources, data.selection, limits(data, detector)):
        say(console, f"{sentence}: python inspect_data.py shows more")
    if weights is not None:
        categories = dict(zip(data.classes, data.train_annotations.category_ids, strict=True))
        for note in load_weights(detector, weights, categories, weights_colours):
            say(console, note)
    if compile:
        say(console, "compile=true: the first step is compiled, which takes minutes, and so is one of another shape")
        # A graph for each range of shapes, and anew where `Freeze` lets parts go: more than torch's usual 8.
        detector.compile(fullgraph=True, recompile_limit=256)
    ranks.check_pictures(len(data.order), "training", engine.world_size)
    ranks.check_pictures(len(data.val_annotations.records), "validation", engine.world_size)
    data.window = accumulation.window(engine.accumulate_grad_batches, detector)
    images_per_step = data.batch_size * engine.accumulate_grad_batches * engine.world_size
    batches = data.train_batches(engine.world_size, engine.limit_train_batches)
    steps = _count_steps(engine, data, batches, chosen)
    for sentence in left_out(engine, batches, getattr(schedule, "warmup_steps", 0)) if steps else []:
        say(console, f"warning: {sentence}")
    _tell_start(console, data, optimizer, steps, images_per_step, run_dir)
    content = checkpoint.content(config, list(data.classes), list(data.train_annotations.category_ids))
    splits = out_of_memory.action == "split"
    if splits:
        check_splittable(detector, engine.world_size)
    kind = SplittingModule if splits else MaskRCNNModule
    module = kind(detector, optimizer, schedule, loss_weights, max(steps, 1), images_per_step, content)
    module.recorded = RecordedLosses() if cuda_graphs else None
    rows = 0
    if resume is not None:
        loaded = read(resume)
        accumulated = engine.accumulate_grad_batches
        resumption = Resumption(loaded, config, list(data.classes), batches, accumulated, steps)
        if resumption.over:
            step = resumption.position.step
            why = f", where trainer.max_steps={engine.max_steps} ends" if 0 < engine.max_steps <= step else ""
            say(console, f"nothing to do: the run is at step {step}{why}")
            return dict(loaded["progress"]["scores"])
        for note in resumption.notes:
            say(console, note)
        checkpoint.load_state(detector, checkpoint.model_state(loaded), last_checkpoint(resume))
        say(console, f"going on after step {resumption.position.step} of {steps}")
        getattr(engine, "callbacks").insert(0, resumption)
        rows = loaded["progress"]["metrics_rows"]
    if engine.is_global_zero:
        begin()
    for metrics in [one for one in engine.loggers if isinstance(one, MetricsFile)]:
        metrics.keep(rows)
    memory = out_of_memory.explained(engine, data.batch_size)
    with interruption, ranks.together(engine), memory, lost_workers.explained(), unfit.explained():
        engine.fit(module, datamodule=data, ckpt_path=None if resume is None else last_checkpoint(resume))
    scores = _tell_end(console, engine, module, chosen, Path(run_dir))
    if interruption.received and engine.is_global_zero:
        raise Stopped(128 + interruption.received, Path(run_dir), scores)
    return scores


def check_parts(detector: MaskRCNN, optimizer: Optimizer, callbacks: Iterable[pl.Callback | None]) -> None:
    """Refuses parts that do not fit together, before data is read.

    Args:
        detector: of any number of classes.
        optimizer, callbacks: of the configuration.

    Raises:
        ValueError: of `Optimizer.check` and `Freeze.check`.
    """
    if isinstance(optimizer, Optimizer):  # not one of a plugin
        optimizer.check(detector)
    for one in callbacks:
        if isinstance(one, Freeze):
            one.check(detector)


def _count_steps(engine: pl.Trainer, data: CocoDataModule, batches: int, callbacks: list[pl.Callback]) -> int:
    """Steps of the whole run, of an epoch's batches. Raises ValueError: there are none, or too few for the profile."""
    steps = total_steps(engine, batches)
    if steps < 1 and engine.max_steps != 0:  # with 0 the weights are kept as they are, to be scored
        raise ValueError(
            f"there is nothing to train: {len(data.train_annotations.records)} pictures, batches of {data.batch_size}, "
            f"max_epochs {engine.max_epochs}, max_steps {engine.max_steps}"
        )
    for one in callbacks:
        if isinstance(one, Profile):
            one.check(batches)
    return steps


def _tell_start(
    console: Console, data: CocoDataModule, optimizer: Optimizer, steps: int, images_per_step: int, run_dir: str
) -> None:
    """Says what is about to be trained."""
    scaled = f" ({optimizer.lr:.4g} for {REFERENCE_BATCH} images, scaled)" if optimizer.scale_lr else ""
    say(
        console,
        f"{len(data.train_annotations.records)} training and "
        f"{counted(len(data.val_annotations.records), 'validation picture')}, {counted(len(data.classes), 'class')}; "
        f"{counted(steps, 'step')} of {counted(images_per_step, 'image')}; learning rate "
        f"{optimizer.scaled_lr(images_per_step):.4g}{scaled}; writing to {run_dir}",
    )
    if data.selection_notes:
        say(console, f"selected: {'; '.join(data.selection_notes)}")


def _make_trainer(
    trainer: Callable[..., pl.Trainer], callbacks: list[pl.Callback], loggers: list[Logger], run_dir: str
) -> pl.Trainer:
    with unfit.explained():
        return trainer(
            callbacks=callbacks,
            logger=loggers,
            default_root_dir=run_dir,
            plugins=[checkpoint.CheckpointFile()],
            enable_checkpointing=any(isinstance(one, pl.callbacks.Checkpoint) for one in callbacks),
            enable_progress_bar=False,  # ours is callbacks.progress
        )


def _tell_end(
    console: Console, engine: pl.Trainer, module: MaskRCNNModule, callbacks: list[pl.Callback], run_dir: Path
) -> dict[str, float]:
    """Says what came out, and where it lies; returns the last validation's numbers."""
    if (reason := why_stopped(engine, module, callbacks)) is not None:
        say(console, reason)
    scores = {name: value.item() for name, value in engine.callback_metrics.items() if "/" in name}
    mean_ap = find_mean_ap(engine)
    if engine.is_global_zero and mean_ap is not None and "segm/AP" in scores:
        print_scores(console, scores, mean_ap.evaluator.per_class())
    for name in WRITTEN:
        if (run_dir / name).exists():
            say(console, f"wrote {run_dir / name}")
    return scores
