"""A trained run as `compare.py` reads it: its configuration, its results, and its detections on validation pictures."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console

from maskrcnn.commands.evaluate import evaluate
from maskrcnn.config.build import build
from maskrcnn.config.check import check_nodes
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.difference import Described
from maskrcnn.config.later import renew
from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.mean_ap import make_evaluator
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.tables import IOU_TYPES
from maskrcnn.run_files import receipt_file
from maskrcnn.run_files.metric_curves import read_curve

SAME = 1e-6  # two AP of the same detections
ALL = ["trainer.limit_val_batches=1.0"]
FOLDERS = ("evaluation", "evaluation_to_compare")  # of a run; the latter where the former is with overrides or tta


class Summary(NamedTuple):
    """What a run's files say of its course; NaN where they do not."""

    best: dict[str, float]  # highest AP of all validations, by "bbox/AP" and "segm/AP"
    last: dict[str, float]
    steps: float
    seconds: float


class TrainedRun:
    """A run's folder.

    Args:
        folder: with config.yaml, and receipt.json if there is one.

    Attributes (after `open`):
        annotations: its validation pictures.
        evaluator: of these, without detections before `detect`.

    Raises:
        ValueError: it is no run's.
    """

    annotations: CocoAnnotations
    evaluator: CocoEvaluator

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "config.yaml"
        if not path.is_file():
            raise ValueError(f"there is no {path}; name the folder of a run")
        self.config = renew(yaml.safe_load(path.read_text(encoding="utf-8")), path)
        self.receipt = receipt_file.read(folder) if (folder / receipt_file.NAME).is_file() else None

    def described(self) -> Described:
        """Its configuration and the command line of its last start."""
        path = self.folder / ".hydra" / "overrides.yaml"
        if self.receipt is not None:
            return Described(self.config, receipt_file.last_start(self.receipt)["overrides"])
        return Described(self.config, yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None)

    def summary(self) -> Summary:
        """Its course, from metrics.csv and the receipt."""
        curves = {f"{kind}/AP": [y for _, y in read_curve(self.folder, f"{kind}/AP", "step")] for kind in IOU_TYPES}
        end = (self.receipt or {}).get("end") or {}
        return Summary(
            {name: max((y for y in points if not math.isnan(y)), default=math.nan) for name, points in curves.items()},
            {name: points[-1] if points else math.nan for name, points in curves.items()},
            end.get("steps", math.nan),
            end.get("seconds", math.nan),
        )

    def open(self, plugins: list[str]) -> None:
        """Reads its validation pictures' annotations.

        Raises:
            ValueError: they are not as its configuration says; the message says what is wrong.
        """
        check_nodes(self.config["data"], "data", plugins)
        data: CocoDataModule = build(self.config["data"], plugins, "data")
        data.training = False
        data.prepare_data()
        data.setup("validate")
        self.annotations = data.val_annotations
        self.evaluator = make_evaluator(data, int(self.config["model"]["box_head"]["max_detections"]), "hotcoco")

    def detect(self, console: Console, plugins: list[str]) -> None:
        """Gives its detections to the evaluator; evaluates best.ckpt if that was not done since it was written.

        Raises:
            ValueError: there is no checkpoint, or the detections are not of all validation pictures.
        """
        best = self.folder / "checkpoints" / "best.ckpt"
        file = next((file for name in FOLDERS if _serves(file := self.folder / name / "detections.json", best)), None)
        if file is None:
            if not best.is_file():
                raise ValueError(
                    f"{self.folder} has neither detections.json nor {best}: train it, or copy one of them there"
                )
            console.print(f"{self.folder} has no detections of its best checkpoint: evaluating {best}")
            # Beside what was made in another way, and is kept.
            places = [self.folder / name / "detections.json" for name in FOLDERS]
            file = places[1] if _whole(places[0], best) else places[0]
            options = to_plain(compose([], "evaluate")) | {"checkpoint": str(best), "plugins": plugins}
            override = [] if self.config["trainer"]["limit_val_batches"] == 1.0 else ALL
            evaluate(**build(options | {"override": override, "output": str(file.parent)}, plugins))
        metrics = json.loads((file.parent / "metrics.json").read_text(encoding="utf-8"))
        console.print(f"{self.folder}: detections of {metrics['checkpoint']}, in {file}")
        self.evaluator.update(_by_picture(json.loads(file.read_text(encoding="utf-8")), self.annotations, file))
        for name, score in self.evaluator.compute().items():
            said = metrics.get(name)
            if name in ("bbox/AP", "segm/AP") and said is not None and abs(score - said) > SAME:
                raise ValueError(
                    f"{file} gives {name} {score:.4f} on the validation pictures of {self.folder}/config.yaml, but "
                    f"metrics.json beside it says {said:.4f}: it was made on other pictures; delete it, and "
                    "they are found anew"
                )


def _serves(file: Path, best: Path) -> bool:
    """Whether detections are of the best checkpoint, and were made as the other side's are: plainly."""
    if not _whole(file, best):
        return False
    metrics = json.loads((file.parent / "metrics.json").read_text(encoding="utf-8"))
    return metrics.get("tta") is None and metrics.get("override", []) in ([], ALL)


def _whole(file: Path, best: Path) -> bool:
    """Whether detections are there, of an evaluation that came to its scores, and not older than the checkpoint."""
    if not file.is_file() or not (file.parent / "metrics.json").is_file():
        return False
    return not best.is_file() or file.stat().st_mtime >= best.stat().st_mtime


def _by_picture(entries: list[dict[str, Any]], annotations: CocoAnnotations, file: Path) -> dict[int, list[Result]]:
    """COCO results with positions instead of the annotation file's ids, by picture; all pictures are there."""
    pictures = {record.id: position for position, record in enumerate(annotations.records)}
    labels = {number: label for label, number in enumerate(annotations.category_ids)}
    found: dict[int, list[Result]] = {position: [] for position in pictures.values()}
    for entry in entries:
        if entry["image_id"] not in pictures or entry["category_id"] not in labels:
            raise ValueError(
                f"{file} has detections of picture {entry['image_id']}, class {entry['category_id']}, which are not "
                f"those of the run's validation data {annotations.file}: delete it, and they are found anew"
            )
        position = pictures[entry["image_id"]]
        found[position].append(
            Result(
                image_id=position,
                category_id=labels[entry["category_id"]],
                bbox=entry["bbox"],
                score=entry["score"],
                segmentation=entry["segmentation"],
            )
        )
    return found
