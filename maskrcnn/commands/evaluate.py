"""Scores a checkpoint, by the very path that validation takes in training."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback
from rich.console import Console

from maskrcnn.commands import funnel_files, thresholds_file
from maskrcnn.commands.extra_metrics import find_metric
from maskrcnn.commands.funnel import Funnel
from maskrcnn.commands.funnel_files import write_errors, write_funnel
from maskrcnn.commands.json_file import write_json
from maskrcnn.commands.slices import Slices
from maskrcnn.config.launcher import is_main
from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.engine.console import Terminal, say
from maskrcnn.engine.evaluation_report import write_evaluation_report
from maskrcnn.engine.print_scores import print_best, print_scores
from maskrcnn.engine.restore import restore
from maskrcnn.engine.scored import detect_all, open_data, score_file
from maskrcnn.engine.tta import Tta
from maskrcnn.evaluation.curves import make_curves
from maskrcnn.evaluation.results import Result
from maskrcnn.garbage import not_collected
from maskrcnn.run_files import receipt_file

FILES = ("detections.json", "metrics.json", "curves.json", "thresholds.json", "report.html", *funnel_files.FILES)


def evaluate(
    console: Console | None = None,
    *,
    checkpoint: str,
    override: list[str],
    results: str | None,
    output: str | None,
    metrics: list[str],
    score_threshold: float,
    funnel: bool,
    funnel_iou: float,
    slices: dict[str, str] | None,
    tta: Tta,
    plugins: list[str],
) -> dict[str, float]:
    """Scores a checkpoint on its validation pictures. Writes metrics.json, curves.json (see
    `maskrcnn.evaluation.curves`), detections.json, report.html of all that, and thresholds.json with each class's best
    score; that also beside the checkpoint, unless an override or tta changes what is found. Of pictures without any
    annotation, only detections.json. Of these files, those of an evaluation before in the same folder go.

    Args:
        console: where what comes out is printed; None for the terminal. A terminal shows a bar even where it is quiet.
        checkpoint: the file.
        override: changes to the configuration in it, such as "data.root=elsewhere".
        results: a file of COCO results to score instead of what the checkpoint detects, such as another program's; the
            checkpoint then says what the data is, and no thresholds.json is written.
        output: folder for the files; null for `evaluation` in the run's folder, or `evaluation_of_<results>` there.
        metrics: what to say besides COCO's numbers, see `maskrcnn.commands.extra_metrics.find_metric`.
        score_threshold: for numbers that need one: what scores less is left out.
        funnel: write funnel.json and errors.json with pictures as well: where missed objects were lost, and what is
            wrong with wrong detections, see `maskrcnn.commands.funnel_files`.
        funnel_iou: of masks, from which on an object counts as found there.
        slices: conditions on parts of the data, by name, see `maskrcnn.commands.slices`; null for none.
        tta: views of a picture that are looked at.
        plugins: packages besides ours that the configuration may name.

    Returns:
        The 12 numbers of boxes and masks each, by "bbox/AP", "segm/AP", ...

    Raises:
        ValueError: the checkpoint is refused, its classes are not the data's, there is no such metric or IoU, a
            slice is no condition, or the results are none of this data.
    """
    chosen = {name: find_metric(name, plugins) for name in metrics}
    if funnel and results is not None:
        raise ValueError("funnel=true asks the network where objects were lost; it cannot be had with results=...")
    onlooker = Funnel(funnel_iou)
    console = console or Terminal(quiet=not is_main())
    directory = _folder(Path(checkpoint), results) if output is None else Path(output)
    if results is not None and (directory / "detections.json").resolve() == Path(results).resolve():
        raise ValueError(f"output={directory} holds results={results}, which would be replaced: give another folder")
    if (directory / receipt_file.NAME).is_file():
        raise ValueError(f"output={directory} is the folder of a run, whose report would be replaced: give another")
    restored = restore(checkpoint, override, plugins)
    data = open_data(restored, override, plugins, console)
    parts = Slices(slices or {}, data)
    if results is None:
        onlookers: list[Callback] = [onlooker] if funnel else []
        scored = detect_all(restored, data, plugins, tta, score_threshold, console.is_terminal, onlookers)
    else:
        scored = score_file(restored, data, Path(results), score_threshold)
    if not is_main():
        return scored.scores
    directory.mkdir(parents=True, exist_ok=True)
    _remove_old(directory)
    file, predictions = data.val_annotations.file, scored.evaluator.predictions
    with not_collected():
        detections = [result for image in sorted(predictions) for result in predictions[image]]
        write_json(directory / "detections.json", to_original_ids(detections, data.val_annotations), console, None)
    if not scored.evaluator.ground_truth["annotations"]:
        say(console, f"{file} has no annotations: pictures were only predicted, and nothing scored")
        return scored.scores
    number, every = len(predictions), len(data.val_annotations.records)
    of = "" if number == every else f" of the {every}"  # by trainer.limit_val_batches
    say(console, f"scored {number}{of} pictures of {file}")
    per_class = scored.evaluator.per_class()
    print_scores(console, scored.scores, per_class)
    numbers: dict[str, Any] = {"checkpoint": checkpoint, "results": results, "override": override}
    numbers["tta"] = None if tta.off else {"flip": tta.flip, "scales": tta.scales}
    numbers |= {**scored.scores, "per_class": per_class}
    for name, metric in chosen.items():
        numbers[name] = metric(scored, console)
    if slices:
        numbers["slices"] = parts.score(scored.evaluator, console)
    curves = make_curves(scored.evaluator, score_threshold)
    print_best(console, curves["segm"])
    write_json(directory / "metrics.json", numbers, console)
    write_json(directory / "curves.json", curves, console, indent=None)
    if results is None:
        beside = [thresholds_file.path_of(Path(checkpoint))] if tta.off and not override else []
        for path in [directory / "thresholds.json", *beside]:
            thresholds_file.write(path, Path(checkpoint), curves["segm"]["best"], file, number)
            say(console, f"wrote {path}")
    if funnel:
        write_funnel(directory, scored, onlooker.missed, funnel_iou, console)
        write_errors(directory, scored, funnel_iou, console)
    path = write_evaluation_report(directory, Path(checkpoint), override, numbers, curves, scored, funnel)
    say(console, f"wrote {path}")
    return scored.scores


def _folder(checkpoint: Path, results: str | None) -> Path:
    """Where files go that were given no folder: into the run's, or beside a checkpoint that lies in none."""
    beside = checkpoint.resolve().parent
    name = "evaluation" if results is None else f"evaluation_of_{Path(results).stem}"
    return (beside.parent if beside.name == "checkpoints" else beside) / name


def _remove_old(directory: Path) -> None:
    """Removes what an evaluation before wrote, or its numbers would lie beside those of this one."""
    for name in FILES:
        (directory / name).unlink(missing_ok=True)
    for folder in {(directory / name).parent for name in FILES} - {directory}:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


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
