"""Scores a checkpoint, by the very path that validation takes in training."""

import json
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from rich.console import Console

from maskrcnn.config.build import build
from maskrcnn.config.launcher import is_main
from maskrcnn.data.coco import CocoAnnotations
from maskrcnn.engine import ranks
from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.report import print_scores
from maskrcnn.engine.restore import restore
from maskrcnn.evaluation.results import Result


def to_original_ids(results: list[Result], annotations: CocoAnnotations) -> list[dict[str, Any]]:
    """COCO results with the ids of the annotation file instead of positions."""
    ids = [record.id for record in annotations.records]  # a hundred results ask for the same
    return [
        {
            **result,
            "image_id": ids[result["image_id"]],
            "category_id": annotations.category_ids[result["category_id"]],
        }
        for result in results
    ]


def evaluate(*, checkpoint: str, override: list[str], output: str | None, plugins: list[str]) -> dict[str, float]:
    """Scores a checkpoint on its validation pictures; writes metrics.json and detections.json.

    Args:
        checkpoint: the file.
        override: changes to the configuration in it, such as "data.root=elsewhere".
        output: folder for the two files; null for `evaluation` in the run's folder.
        plugins: packages besides ours that the configuration may name.

    Returns:
        The 12 numbers of boxes and masks each, by "bbox/AP", "segm/AP", ...

    Raises:
        ValueError: the checkpoint is refused, or its classes are not the data's.
    """
    console = Console(quiet=not is_main())
    restored = restore(checkpoint, override, plugins)
    config = restored.config
    data = build(config["data"], plugins, "data")
    if data.selection.folds is not None and any(o.startswith("data.source.") and "val_" in o for o in override):
        raise ValueError(
            "the checkpoint was validated on a fold of its training file, so that another validation file is not used: "
            "add data.folds=null and data.fold=null to override"
        )
    data.prepare_data()
    data.setup("validate")
    for note in data.selection_notes:
        console.print(f"selected: {note}", highlight=False, soft_wrap=True)
    if list(data.classes) != restored.classes:
        raise ValueError(
            f"the checkpoint knows the classes {', '.join(restored.classes)}, "
            f"but the data has {', '.join(data.classes)}"
        )
    mean_ap = build(config["callbacks"]["mean_ap"], plugins, "callbacks.mean_ap")
    assert isinstance(mean_ap, MeanAP)
    trainer: Trainer = build(config["trainer"], plugins, "trainer")(
        callbacks=[mean_ap], logger=False, enable_checkpointing=False, enable_progress_bar=console.is_terminal
    )
    optimizer, schedule = build([config["optimizer"], config["schedule"]], plugins)
    module = MaskRCNNModule(restored.model, optimizer, schedule, config["loss_weights"], 1, 1, {})
    ranks.check_pictures(len(data.val_annotations.records), "validation", trainer.world_size)
    with ranks.together(trainer):
        trainer.validate(module, datamodule=data, verbose=False)
    scores = {name: value.item() for name, value in trainer.callback_metrics.items()}
    if not trainer.is_global_zero:
        return scores
    per_class = mean_ap.evaluator.per_class()
    print_scores(console, scores, per_class)
    directory = Path(checkpoint).resolve().parent.parent / "evaluation" if output is None else Path(output)
    directory.mkdir(parents=True, exist_ok=True)
    detections = [r for _, found in sorted(mean_ap.evaluator.predictions.items()) for r in found]
    contents = {
        "metrics.json": {"checkpoint": checkpoint, **scores, "per_class": per_class},
        "detections.json": to_original_ids(detections, data.val_annotations),
    }
    for name, content in contents.items():
        (directory / name).write_text(json.dumps(content, indent=2 if name == "metrics.json" else None) + "\n")
        console.print(f"wrote {directory / name}", highlight=False, soft_wrap=True)
    return scores
