"""A checkpoint's detections beside their ground truth: what every number of an evaluation is made of."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from pytorch_lightning import Callback, Trainer
from rich.console import Console

from maskrcnn.config.build import build
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.few import few_names, unlike_names
from maskrcnn.engine import lost_workers, ranks, unfit
from maskrcnn.engine.console import say
from maskrcnn.engine.detector import Detect
from maskrcnn.engine.mean_ap import MeanAP, make_evaluator
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.restore import Restored
from maskrcnn.engine.results_file import read_results
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.garbage import not_collected


class Scored(NamedTuple):
    """Detections of all validation pictures, on the main process; others have none."""

    restored: Restored
    data: CocoDataModule
    evaluator: CocoEvaluator
    scores: dict[str, float]  # `CocoEvaluator.compute`, alike on all processes
    score_threshold: float  # for numbers that need one


def open_data(restored: Restored, override: list[str], plugins: list[str], console: Console) -> CocoDataModule:
    """The validation pictures of a checkpoint's configuration.

    Raises:
        ValueError: the validation data is not the one asked for, or its classes are not the checkpoint's.
    """
    data: CocoDataModule = build(restored.config["data"], plugins, "data")
    if data.selection.folds is not None and any(o.startswith("data.source.") and "val_" in o for o in override):
        raise ValueError(
            "the checkpoint was validated on a fold of its training file, so that another validation file is not used: "
            "add data.folds=null and data.fold=null to override"
        )
    data.training = False
    data.prepare_data()
    data.setup("validate")
    for note in data.selection_notes:
        say(console, f"selected: {note}")
    if list(data.classes) != restored.classes:
        raise ValueError(other_classes(restored.classes, data.classes))
    return data


def other_classes(wanted: list[str], found: Sequence[str]) -> str:
    """What to do about data whose classes are not the checkpoint's."""
    known, there = unlike_names(wanted, found)
    said = f"the checkpoint knows the classes {known}, but the data has {there}: "
    missing = [name for name in wanted if name not in found]
    if not missing:
        chosen = yaml.safe_dump({name: [name] for name in wanted}, default_flow_style=True, allow_unicode=True,
                                sort_keys=False, width=10**6).strip()  # fmt: skip
        escaped = chosen.replace('"', r"\"")
        return said + "choose and order them by " + shlex.quote(f'override=["data.class_map={escaped}"]')
    return (
        f"{said}evaluate on data with the same classes in the same order, or rename, choose and order them by "
        f"data.class_map in override; for classes that the data has under no name ({few_names(missing)}), add an entry "
        "to 'categories' of its file, which needs no annotations"
    )


def score_file(restored: Restored, data: CocoDataModule, results: Path, score_threshold: float) -> Scored:
    """Scores detections from elsewhere.

    Args:
        restored: for its configuration; data: of `open_data`; score_threshold: see `Scored`.
        results: a file of COCO results, see `maskrcnn.engine.results_file`.

    Raises:
        ValueError: of `read_results`.
    """
    mean_ap = restored.config["callbacks"]["mean_ap"]
    evaluator = make_evaluator(data, mean_ap["max_detections"], mean_ap["backend"])
    try:
        with not_collected():
            evaluator.update(read_results(results, data.val_annotations))
    except ValueError as error:
        raise ValueError(f"results={error}") from error
    return Scored(restored, data, evaluator, evaluator.compute(), score_threshold)


def detect_all(
    restored: Restored,
    data: CocoDataModule,
    plugins: list[str],
    detect: Detect,
    score_threshold: float,
    progress: bool,
    onlookers: list[Callback],
) -> Scored:
    """Finds instances in the validation pictures, by the very path that validation takes in training.

    Args:
        restored: the model; data: of `open_data`; plugins: packages besides ours that the configuration may name.
        detect: how instances are found.
        score_threshold: see `Scored`; progress: show a bar.
        onlookers: see each batch after its detections were taken down.

    Raises:
        ValueError: the configuration looks at no picture.
    """
    config = restored.config
    if config["trainer"].get("limit_val_batches") == 0:
        raise ValueError(
            "the checkpoint's configuration has trainer.limit_val_batches=0, which looks at no picture: give "
            """'override=["trainer.limit_val_batches=1.0"]'"""
        )
    mean_ap = build(config["callbacks"]["mean_ap"], plugins, "callbacks.mean_ap")
    assert isinstance(mean_ap, MeanAP)
    trainer: Trainer = build(config["trainer"], plugins, "trainer")(
        callbacks=[mean_ap, *onlookers], logger=False, enable_checkpointing=False, enable_progress_bar=progress
    )
    optimizer, schedule = build([config["optimizer"], config["schedule"]], plugins)
    module = MaskRCNNModule(restored.model, optimizer, schedule, config["loss_weights"], 1, 1, {})
    module.detect = detect
    ranks.check_pictures(len(data.val_annotations.records), "validation", trainer.world_size)
    with ranks.together(trainer), lost_workers.explained(), unfit.explained():
        trainer.validate(module, datamodule=data, verbose=False)
    scores = {name: value.item() for name, value in trainer.callback_metrics.items()}
    return Scored(restored, data, mean_ap.evaluator, scores, score_threshold)
