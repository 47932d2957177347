"""Compares runs: what they differ in, what came out, and whether that is more than luck."""

import math
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from maskrcnn.commands.trained_run import TrainedRun
from maskrcnn.config.difference import difference
from maskrcnn.config.identity import essence
from maskrcnn.config.nested import changes, differing
from maskrcnn.data.few import unlike_names
from maskrcnn.data.progress import follow
from maskrcnn.engine.console import Terminal
from maskrcnn.evaluation import bootstrap
from maskrcnn.evaluation.bootstrap import Difference
from maskrcnn.evaluation.matches import Matches, match
from maskrcnn.evaluation.tables import IOU_TYPES
from maskrcnn.page.duration import duration
from maskrcnn.run_files import receipt_file

RESAMPLES = 1000
CLASSES = 40  # of more, those are printed that differ most
REPEATED = ("seed", "data.seed", "data.fold")  # what the runs of a side may differ in
HASH = re.compile(r"\b[0-9a-f]{64}\b")
KINDS = {"bbox": "box", "segm": "mask"}


def compare(a: list[Path], b: list[Path], plugins: list[str], config_dir: str | None = None) -> None:
    """Prints how the runs of two sides differ. Of the configuration, it compares the first run of each.

    Args:
        a, b: folders of runs, several where a side was trained with several seeds.
        plugins: packages besides ours that their configurations may name.
        config_dir: absolute folder of the choices that they were started with besides ours.

    Raises:
        ValueError: a folder is no run's, or validation pictures or classes are not the same.
    """
    console = Terminal(highlight=False, soft_wrap=True)
    sides = [[TrainedRun(folder) for folder in side] for side in (a, b)]
    first, second = sides[0][0], sides[1][0]
    for line in configuration(first, second, config_dir) + [""] + surroundings(first, second) + [""]:
        console.print(line)
    for note in [note for side in sides for note in unlike(side)]:
        console.print(note)
    _print_course(console, sides)
    runs = [run for side in sides for run in side]
    for run in runs:
        run.open(plugins)
    check_same(runs)  # before minutes go into detections
    for run in runs:
        run.detect(console, plugins)
    names = first.evaluator.classes
    found = {}
    for kind in IOU_TYPES:
        matches: list[list[list[Matches]]] = [[match(run.evaluator, kind) for run in side] for side in sides]
        resamples = follow(range(RESAMPLES), RESAMPLES, f"resampling pictures, {KINDS[kind]} AP")
        for name, one in bootstrap.compare(matches[0], matches[1], names, resamples, 0).items():
            found[f"{KINDS[kind]} {name}"] = one
    table = Table("average precision", "a", "b", "b - a", "95 % of resamples")
    for name in rows_of(found, names):
        one = found[name]
        numbers = ("-",) * 4 if math.isnan(one.a) else _numbers(one)
        table.add_row(name, *numbers)
    console.print(table)
    if len(names) > CLASSES:
        console.print(f"of {len(names)} classes, the {CLASSES} differences that are greatest")
    several = len(a) > 1 or len(b) > 1
    for name in ("box AP", "mask AP"):
        console.print(verdict(name, found[name], several))


def rows_of(found: dict[str, Difference], classes: list[str]) -> list[str]:
    """Which rows are printed: all; or, of more than `CLASSES` classes, those of all classes together and the greatest
    differences.

    Args:
        found: by names such as "mask AP50", and "mask AP star" of a class; classes: their names.
    """
    if len(classes) <= CLASSES:
        return list(found)
    whole = {f"{kind} {number}" for kind in KINDS.values() for number in ("AP", "AP50", "AP75")}
    known = {name: abs(one.b - one.a) for name, one in found.items() if name not in whole and not math.isnan(one.a)}
    greatest = sorted(known, key=lambda name: -known[name])[:CLASSES]
    return [name for name in found if name in whole or name in greatest]


def configuration(a: TrainedRun, b: TrainedRun, config_dir: str | None) -> list[str]:
    """The overrides from one run's configuration to the other's, or the keys that differ."""
    found = difference(a.described(config_dir), b.described(config_dir))
    if not found.keys:
        return ["configuration: the same"]
    if found.overrides is None:
        return [
            "configuration: nothing that is added to a's command line leads to b, as conf/ changed since, or they were "
            "started with a --config-dir, to be given here too; the keys that differ are",
            *_list(found.keys),
        ]
    lines = ["configuration: what a needs on its command line to be b", *_list(map(shlex.quote, found.overrides))]
    if found.without:
        lines += ["what it has to leave out, as b's choices lack the key", *_list(map(shlex.quote, found.without))]
    return lines


def unlike(side: list[TrainedRun]) -> list[str]:
    """Of the runs of a side, which differ from the first in more than seed, fold and folder."""
    notes = []
    for run in side[1:]:
        pairs = differing(essence(side[0].config), essence(run.config))
        keys = [key for key, _, _ in pairs if key not in REPEATED]
        if keys:
            notes.append(f"NOTE: {run.folder} is of one side with {side[0].folder}, but differs in {', '.join(keys)}")
    return notes


def surroundings(a: TrainedRun, b: TrainedRun) -> list[str]:
    """Where the last starts of two runs differ in code, versions, hardware and data, by their receipts."""
    missing = [str(run.folder) for run in (a, b) if run.receipt is None]
    if a.receipt is None or b.receipt is None:
        return [f"code, versions, hardware and data: unknown, as there is no receipt.json in {' and '.join(missing)}"]
    before, now = receipt_file.last_start(a.receipt), receipt_file.last_start(b.receipt)
    lines = []
    if before["commit"] != now["commit"]:
        lines.append(f"commit: {before['commit']} -> {now['commit']}")
    if before["diff_sha256"] != now["diff_sha256"]:
        lines.append("uncommitted changes of tracked files")
    for key in ("versions", "hardware", "data"):
        found = changes(before[key] or {}, now[key] or {})
        lines += [f"{key}.{HASH.sub(lambda hash_: hash_[0][:12], line)}" for line in found]
    if not lines:
        return ["code, versions, hardware and data: the same"]
    return ["code, versions, hardware and data: a -> b", *_list(lines)]


def check_same(runs: list[TrainedRun]) -> None:
    """Makes sure that all runs, once opened, were validated alike.

    Raises:
        ValueError: classes or validation pictures differ, or these have no annotations.
    """
    first = runs[0].evaluator
    if not first.ground_truth["annotations"]:
        raise ValueError(
            f"{runs[0].annotations.file}, the validation pictures of {runs[0].folder}, has no annotations, so that "
            "there is no AP to compare"
        )
    for run in runs[1:]:
        between = f"of {runs[0].folder} and {run.folder}"
        if run.evaluator.classes != first.classes:
            classes = "; ".join(unlike_names(first.classes, run.evaluator.classes))
            raise ValueError(
                f"the classes {between} differ ({classes}): AP of other classes is another number; train one of them "
                "anew with the other's data and data.class_map, or score both by evaluate.py on one file and compare "
                "the AP of each class (docs/own-data.md)"
            )
        if run.evaluator.ground_truth != first.ground_truth:
            raise ValueError(
                f"the validation pictures {between} differ: AP on other pictures is another number; train one of them "
                "anew with the other's data.source, data.fold and data.fold_seed"
            )


def verdict(name: str, found: Difference, several: bool) -> str:
    """A difference in words."""
    if math.isnan(found.a) or math.isnan(found.b):
        return f"{name}: no object defines it"
    luck = "the luck of the validation pictures" + (" and of the seeds too" if several else "")
    more = "b is better" if found.b > found.a else "b is worse"
    if abs(found.b - found.a) < 0.0005:
        return f"{name}: no difference"
    by = f"by {abs(found.b - found.a):.3f} (95 %: {found.low:+.3f} to {found.high:+.3f})"
    if found.beyond_luck():
        return f"{name}: {more} {by}, which is more than {luck}"
    return f"{name}: {more} {by}, which may be {luck}"


def _print_course(console: Console, sides: list[list[TrainedRun]]) -> None:
    table = Table(  # in 80 columns, the name that a run gets by default is one line
        "",
        Column("run", overflow="fold"),
        *(f"{when}\n{kind}\nAP" for kind in KINDS.values() for when in ("best", "last")),
        "steps",
        "time",
    )
    for letter, run in [(letter, run) for letter, side in zip("ab", sides) for run in side]:
        found = run.summary()
        aps = [_number(each[f"{kind}/AP"], ".3f") for kind in KINDS for each in (found.best, found.last)]
        table.add_row(letter, run.folder.name, *aps, _number(found.steps, ".0f"), duration(found.seconds))
    console.print(table)


def _numbers(found: Difference) -> tuple[str, ...]:
    mark = " *" if found.beyond_luck() else ""
    interval = f"{found.low:+.3f} to {found.high:+.3f}{mark}"
    return f"{found.a:.3f}", f"{found.b:.3f}", f"{found.b - found.a:+.3f}", interval


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _list(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
