"""The trials of a sweep as a table: one row a setting, means over seeds and folds, the best first."""

import csv
import io
import math
import statistics
from typing import NamedTuple

from rich.table import Table

from maskrcnn.page.duration import duration
from maskrcnn.sweep.collect import AVERAGED, Trial, varying

SCORES = {"segm/AP": "mask AP", "bbox/AP": "box AP"}


class Row(NamedTuple):
    """A setting."""

    values: list[str]  # of the keys that vary
    trials: list[Trial]  # its finished ones
    means: dict[str, float]  # by score; nan where there is none
    deviations: dict[str, float]  # of the sample; nan for a single trial
    seconds: float  # of a trial, in the mean

    @property
    def commits(self) -> str:
        """Of the code that trained them."""
        return ", ".join(sorted({commit for trial in self.trials for commit in trial.result.commits}))  # type: ignore[union-attr]


class Summary(NamedTuple):
    """A sweep."""

    columns: list[str]  # the keys that vary
    told: list[str]  # these, and those of `AVERAGED` that vary: what tells trials apart
    rows: list[Row]  # the best mask AP first
    rest: list[tuple[str, str, str]]  # of each unfinished trial: what it is, its status, and why
    seconds: float  # of all trials

    @property
    def several_commits(self) -> bool:
        """Whether not all were trained by the same code."""
        return len({commit for row in self.rows for commit in row.commits.split(", ")}) > 1


def summarise(trials: list[Trial]) -> Summary:
    """Averages what differs only in seed or fold."""
    columns = varying(trials)
    settings: dict[str, list[Trial]] = {}
    rest = []
    told = [*columns, *(key for key in AVERAGED if len({trial.value(key) for trial in trials}) > 1)]
    for trial in trials:
        if trial.status == "finished":
            settings.setdefault(trial.setting(), []).append(trial)
        else:
            rest.append((trial.described(told) or trial.folder.name, trial.status, _reason(trial)))
    rows = [_row(columns, group) for group in settings.values()]
    rows.sort(key=lambda row: -math.inf if math.isnan(row.means["segm/AP"]) else row.means["segm/AP"], reverse=True)
    return Summary(columns, told, rows, rest, sum(t.result.seconds for t in trials if t.result is not None))


def _row(columns: list[str], trials: list[Trial]) -> Row:
    results = [trial.result for trial in trials if trial.result is not None]
    scores = {name: [r.scores[name] for r in results if name in r.scores] for name in SCORES}
    means = {name: statistics.fmean(values) if values else math.nan for name, values in scores.items()}
    spread = {name: statistics.stdev(values) if len(values) > 1 else math.nan for name, values in scores.items()}
    seconds = statistics.fmean(r.seconds for r in results)
    return Row([trials[0].value(key) for key in columns], trials, means, spread, seconds)


def _reason(trial: Trial) -> str:
    result, last = trial.result, trial.last_score
    if result is None or result.status == "failed" or last is None:
        return "" if result is None else result.reason
    reached = f"mask AP {last[1]:.3f} after epoch {last[0]}"
    return f"{result.reason}; {reached}" if result.reason else reached


def head(summary: Summary) -> list[str]:
    """The names of the columns."""
    last = ["commit"] if summary.several_commits else []
    return [*summary.columns, "trials", *SCORES.values(), "time a trial", *last]


def cells(summary: Summary, row: Row) -> list[str]:
    """A row in print."""
    scores = [_score(row.means[name], row.deviations[name]) for name in SCORES]
    last = [row.commits] if summary.several_commits else []
    return [*map(_short, row.values), str(len(row.trials)), *scores, duration(row.seconds), *last]


def _short(value: str) -> str:
    """A search proposes fractions of 17 digits; the file table.csv has them all."""
    try:
        return value if len(value) < 10 or value.isdigit() else f"{float(value):.4g}"
    except ValueError:
        return value


def _score(mean: float, deviation: float) -> str:
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" if math.isnan(deviation) else f"{mean:.3f} ± {deviation:.3f}"


def terminal(summary: Summary) -> Table:
    """The table for a terminal."""
    table = Table(*head(summary))
    for row in summary.rows:
        table.add_row(*cells(summary, row))
    return table


def markdown(summary: Summary) -> str:
    """The table for a document, and what is not in it."""
    lines = [head(summary), ["---"] * len(head(summary)), *(cells(summary, row) for row in summary.rows)]
    text = "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
    rest = [f"- {what}: {status}{': ' if why else ''}{why}\n" for what, status, why in summary.rest]
    return text + "\n" * bool(rest) + "".join(rest)


def comma_separated(summary: Summary) -> str:
    """The table as CSV, mean and standard deviation in columns of their own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    scores = [name for score in SCORES for name in (score, f"{score} std")]
    writer.writerow([*summary.columns, "trials", *scores, "hours", "commit", "folders"])
    for row in summary.rows:
        numbers = [number for score in SCORES for number in (row.means[score], row.deviations[score])]
        printed = ["" if math.isnan(number) else f"{number:.6g}" for number in numbers]
        folders = ",".join(str(trial.folder) for trial in row.trials)  # a side of compare.py
        writer.writerow([*row.values, len(row.trials), *printed, f"{row.seconds / 3600:.6g}", row.commits, folders])
    return file.getvalue()
