"""Looks a data set through before anything is trained on it."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from maskrcnn.config.written import written as as_override
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.few import counted
from maskrcnn.data.source import CocoSource, Splits
from maskrcnn.engine.console import Terminal, say
from maskrcnn.engine.draw_lessons import draw_lessons
from maskrcnn.engine.draw_samples import draw_samples
from maskrcnn.inspection.anchors import model_shapes
from maskrcnn.inspection.file import Depth, mended_paths, write_mended
from maskrcnn.inspection.finding import MEANING
from maskrcnn.inspection.inspection import Inspection, inspect
from maskrcnn.inspection.limits import Limits
from maskrcnn.inspection.page import write_page
from maskrcnn.modeling.anchors import Anchors
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.whole_file import read_json, write_json

COLOURS = {"error": "red", "mended": "yellow", "note": ""}


def inspect_data(
    *,
    data: CocoDataModule,
    model: Callable[[int, int], MaskRCNN],
    depth: Depth,
    output: str,
    fix: bool,
    out: str | None,
    draw: int,
    plugins: list[str],
) -> bool:
    """Reports what is wrong with a data set, and how it fits the configuration.

    Args:
        data: the data set; model: of the configuration, for its anchors and its cap on detections.
        depth: headers (annotations and headers of pictures), or pixels (every picture is decoded).
        output: folder for report.html, report.json and drawn samples.
        fix: write corrected annotations to `out`; with two parts, as <out>_train.json and <out>_val.json, of those that
            need it; says what to train with them by. The original is never touched.
        draw: this many training samples, as the network gets them, into samples_1.png, ..., and what it learns from
            each of them, into lessons_1.png, ...
        plugins: packages besides ours that the configuration may name.

    Returns:
        Whether training could start.

    Raises:
        ValueError: a file is no COCO file, nothing usable is left of it, `out` is there, or a report.json in `output`
            is of something else.
        FileNotFoundError: there is no such file.
    """
    if fix != (out is not None):
        raise ValueError(
            "fix=true and out=<file.json> go together: what is corrected is written there (and the page to output)"
        )
    if draw < 0:
        raise ValueError(f"draw is {draw}; give the number of samples to draw, or 0")
    console = Terminal(highlight=False)
    data.prepare_data()
    sources = data.selection.used(data.source.splits(data.root))
    outs = [] if out is None else _outs(sources, Path(out))
    folder = Path(output)
    written = [folder / "report.html", folder / "report.json"]
    before = _inspected(written[1])
    detector = model(1, data.read.channels)
    found = inspect(sources, data.selection, depth, limits(data, detector))
    _print(console, found)
    folder.mkdir(parents=True, exist_ok=True)
    write_page(found, data.read, written[0])
    write_json(written[1], summary(found))
    mended = {}
    for file, path in zip(found.files, outs):
        if file.findings.changes:
            written += write_mended(file, path)
            mended[file.findings.part] = path
    sound = not any(finding.level == "error" for finding in found.findings())
    if sound:
        data.setup("fit")  # finds mistakes of the selection
        for note in data.selection_notes:
            say(console, f"selected: {note}")
        written += draw_samples(data, draw, folder) + draw_lessons(data, detector, draw, folder) if draw else []
    elif draw:
        say(console, "no samples are drawn: training would stop at the errors above")
    for path in written:
        say(console, f"wrote {path}")
    if before and before.isdisjoint(str(file.split.annotations) for file in found.files):
        listed = ", ".join(sorted(before))
        say(console, f"NOTE: {folder} held the page of {listed}, now replaced: give each data set its own output=...")
    if fix and not mended:
        say(console, "no corrected file is written: there is nothing to correct")
    elif fix and isinstance(data.source, CocoSource):
        say(console, f"train with it{'' if sound else ', once the errors above are mended'}: {overrides(mended)}")
    elif not fix and any(file.findings.changes for file in found.files):
        say(console, "to write a corrected file, repeat the command with fix=true out=clean.json")
    return sound


class _InspectedPart(TypedDict):
    annotations: str


class _Inspected(TypedDict):
    parts: dict[str, _InspectedPart]


def _inspected(file: Path) -> set[str]:
    """The annotation files that a report.json, if it is there, is about."""
    if not file.is_file():
        return set()
    report = read_json(file, _Inspected, "delete it, or give another folder by output=...")
    return {part["annotations"] for part in report["parts"].values()}


def _outs(sources: list[Splits], out: Path) -> list[Path]:
    """The file of corrected annotations of each part: `out` of a single one."""
    names = [name.replace("/", "_") for source in sources for name in source.parts()]
    outs = [out] if len(names) == 1 else [out.with_name(f"{out.stem}_{name}{out.suffix}") for name in names]
    for path in outs:
        mended_paths(path)
    return outs


def overrides(mended: dict[str, Path]) -> str:
    """What to give on a command line for corrected files, by their part, to be used, from wherever it is run."""
    keys = {f"data.source.{part}_annotations": str(path.resolve()) for part, path in mended.items()}
    return " ".join(shlex.quote(f"{key}={as_override(path)}") for key, path in keys.items())


def limits(data: CocoDataModule, detector: MaskRCNN) -> Limits:
    """How a configuration will use the data."""
    return Limits(
        resize=data.resize,
        read=data.read,
        object_slots=data.collate.object_slots[-1],
        detections=detector.box_head.max_detections,
        shapes=model_shapes(detector.anchors, detector.neck.strides),
        strides=detector.neck.strides,
        scaled=isinstance(detector.anchors, Anchors),
    )


def _print(console: Console, found: Inspection) -> None:
    for part in found.parts:
        content = part.content
        say(
            console,
            f"{part.name}: {counted(len(part.records), 'picture')}, {int((content.counts == 0).sum())} of them without "
            f"objects; {counted(len(content.labels), 'object')} of {counted(len(content.classes), 'class')}, up to "
            f"{content.counts.max(initial=0)} in a picture; {counted(content.crowds, 'crowd region')}",
        )
    findings = found.findings()
    for finding in findings:  # no table: columns would break names and keys that are to be copied
        level = Text(finding.level, COLOURS[finding.level])
        console.print(level, f"in {finding.part}: {finding.told()}", soft_wrap=True)
        first = ", ".join(map(str, finding.first)) + (", ..." if finding.number > len(finding.first) else "")
        say(console, f"    {first}\n    {finding.remedy}")
    say(console, MEANING if findings else "nothing is wrong with it")
    if found.reach is not None:
        sizes = "objects, at the network's size"
        table = Table(sizes, "number", "IoU 0.5", "IoU 0.7", title="reached by an anchor (train)")
        for size, (number, half, most) in found.reach.by_size.items():
            table.add_row(size, str(number), f"{half:.1%}", f"{most:.1%}")
        console.print(table)
        better = found.reach.suggestion
        if better is not None:
            say(
                console,
                f"model.anchors.scales={_plain(better.scales)} model.anchors.ratios={_plain(better.ratios)} would "
                f"reach {better.reached[0]:.1%} and {better.reached[1]:.1%}",
            )
    if found.pixels is not None:
        mean, std = (_plain(values.round(2).tolist()) for values in found.pixels)
        say(console, f"pixels of train: model.pixel_mean={mean} model.pixel_std={std}")


def _plain(values: list[float]) -> str:
    return "[" + ",".join(f"{value:g}" for value in values) + "]"


def summary(found: Inspection) -> dict[str, object]:
    """The findings and counts as plain values, for report.json."""
    return {
        "findings": [finding._asdict() for finding in found.findings()],
        "parts": {
            part.name: {
                "annotations": str(part.split.annotations),
                "pictures": len(part.records),
                "objects": len(part.content.labels),
                "crowd regions": part.content.crowds,
                "objects by class": dict(zip(part.content.classes, part.content.per_class().tolist())),
            }
            for part in found.parts
        },
        "anchors": None if found.reach is None else found.reach._asdict(),
    }
