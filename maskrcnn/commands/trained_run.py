"""A trained run as `compare.py` reads it: its configuration, its results, and its detections on validation pictures."""

import math
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import yaml
from rich.console import Console

from maskrcnn.commands.evaluate import evaluate
from maskrcnn.config.build import build
from maskrcnn.config.check import check_nodes
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.difference import Described
from maskrcnn.config.later import renew
from maskrcnn.config.nested import same
from maskrcnn.config.own import searching
from maskrcnn.config.run_dir import last_checkpoint
from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.console import Terminal
from maskrcnn.engine.mean_ap import make_evaluator
from maskrcnn.engine.results_file import read_results
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.tables import IOU_TYPES
from maskrcnn.garbage import not_collected
from maskrcnn.run_files import checkpoint, receipt_file
from maskrcnn.run_files.metric_curves import read_curve
from maskrcnn.whole_file import read_json

SAME = 1e-6  # two AP of the same detections
# Of trainer: all pictures, by this very process, as others would compare too.
PLAIN = {"limit_val_batches": 1.0, "devices": 1, "num_nodes": 1}
ALL = "limit_val_batches"
PARTS = ("data", "model", "trainer")  # of a configuration that are asked for
FOLDERS = ("evaluation", "evaluation_to_compare")  # of a run; the latter where the former is with overrides or tta


class Summary(NamedTuple):
    """What a run's files say of its course; NaN where they do not."""

    best: dict[str, float]  # highest AP of all validations, by "bbox/AP" and "segm/AP"
    last: dict[str, float]
    steps: float
    seconds: float


# What is read of metrics.json.
_Metrics = TypedDict(
    "_Metrics",
    {
        "checkpoint": str,
        "override": NotRequired[list[str]],
        "bbox/AP": NotRequired[float | None],
        "segm/AP": NotRequired[float | None],
    },
)


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
        self.config = renew(_read_config(path), path)
        self.receipt = receipt_file.read(folder) if (folder / receipt_file.NAME).is_file() else None

    def described(self, config_dir: str | None) -> Described:
        """Its configuration and the command line of its last start.

        Args:
            config_dir: absolute folder of choices besides ours that this had.

        Raises:
            ValueError: there is no receipt, and the overrides that Hydra kept are broken.
        """
        path, folder = self.folder / ".hydra" / "overrides.yaml", searching(config_dir)
        if self.receipt is not None:
            return Described(self.config, folder + receipt_file.last_start(self.receipt)["overrides"])
        if not path.is_file():
            return Described(self.config, None)
        overrides = _read_yaml(path)
        if not isinstance(overrides, list) or not all(isinstance(one, str) for one in overrides):
            raise ValueError(f"{path} is no list of overrides: copy it again, or delete it")
        return Described(self.config, folder + overrides)

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
        places = [self.folder / name / "detections.json" for name in FOLDERS]
        file = next((place for place in places if self._serves(place, best)), None)
        if file is None:
            if not best.is_file():
                raise ValueError(
                    f"{self.folder} has neither detections.json nor {best}: train it with validation, copy one of them "
                    f"there, or make the former by python evaluate.py checkpoint={last_checkpoint(self.folder)}"
                )
            console.print(f"{self.folder} has no detections of its best checkpoint: evaluating {best}")
            file = places[1] if _whole(places[0], best) else places[0]  # what was made in another way is kept
            options = to_plain(compose([], "evaluate")) | {"checkpoint": str(best), "plugins": plugins}
            trainer = checkpoint.read(best)["maskrcnn"]["config"]["trainer"]
            override = [f"trainer.{key}={value}" for key, value in PLAIN.items() if not _is_plain(trainer, key)]
            evaluate(
                Terminal(quiet=True), **build(options | {"override": override, "output": str(file.parent)}, plugins)
            )
        metrics = _read_metrics(file)
        console.print(f"{self.folder}: detections of {metrics['checkpoint']}, in {file}")
        try:
            with not_collected():
                self.evaluator.update(read_results(file, self.annotations))
        except ValueError as error:
            raise ValueError(f"{error}: delete the file, and they are found anew") from error
        for name, score in self.evaluator.compute().items():
            said = metrics.get(name)
            if name in ("bbox/AP", "segm/AP") and said is not None and abs(score - said) > SAME:
                raise ValueError(
                    f"{file} gives {name} {score:.4f} on the validation pictures of {self.folder}/config.yaml, but "
                    f"metrics.json beside it says {said:.4f}: it was made on other pictures; delete it, and "
                    "they are found anew"
                )

    def _serves(self, file: Path, best: Path) -> bool:
        """Whether detections are of the best checkpoint, and were made as the other side's are: plainly, and of all
        pictures.
        """
        if not _whole(file, best):
            return False
        metrics = _read_metrics(file)
        plain, overrides = {f"trainer.{key}={value}" for key, value in PLAIN.items()}, metrics.get("override", [])
        every = f"trainer.{ALL}={PLAIN[ALL]}" in overrides or _is_plain(self.config["trainer"], ALL)
        return metrics.get("tta") is None and plain.issuperset(overrides) and every


def _is_plain(trainer: dict[str, Any], key: str) -> bool:
    """Whether a key of `PLAIN` has its value."""
    return same(trainer.get(key, PLAIN[key]), PLAIN[key])


def _read_config(path: Path) -> dict[str, Any]:
    """A run's config.yaml.

    Raises:
        ValueError: it is broken, or of something else.
    """
    config = _read_yaml(path)
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in PARTS):
        raise ValueError(f"{path} is not the configuration of a run")
    return config


def _read_yaml(path: Path) -> Any:
    """What a YAML file of a run holds.

    Raises:
        ValueError: it is broken, or has aliases, which training never writes: with them, a few lines are more than any
            memory.
    """
    try:
        text = path.read_text(encoding="utf-8")
        aliases = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))
        content = None if aliases else yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is broken ({' '.join(str(error).split())}): copy it again") from error
    if aliases:
        raise ValueError(f"{path} was not written by training, for it has aliases of YAML (*name): copy it again")
    return content


def _read_metrics(file: Path) -> Any:
    """What metrics.json beside detections holds."""
    return read_json(file.parent / "metrics.json", _Metrics, "delete it, and it is made anew")


def _whole(file: Path, best: Path) -> bool:
    """Whether detections are there, of an evaluation that came to its scores, and not older than the checkpoint."""
    if not file.is_file() or not (file.parent / "metrics.json").is_file():
        return False
    return not best.is_file() or file.stat().st_mtime >= best.stat().st_mtime
