"""A sweep as one self-contained page."""

from html import escape
from pathlib import Path
from urllib.parse import quote

from maskrcnn.page.duration import duration
from maskrcnn.page.html import Html, table, write_html
from maskrcnn.page.lines import GREY, Line, colour, lines, swatch
from maskrcnn.run_files.metric_curves import read_curve
from maskrcnn.sweep.charts import parallel_coordinates
from maskrcnn.sweep.collect import Trial
from maskrcnn.sweep.table import Summary, cells, head

REST = (
    "<p>All trials in the sweep's folder are shown, those of earlier commands too. To leave one out, delete its "
    "folder, which the last table names, and make this page anew by sweep_report.py.</p>"
)
STYLE = ".value { paint-order: stroke; stroke: #fff; stroke-width: 4px }"


def write_page(name: str, summary: Summary, trials: list[Trial], path: Path) -> None:
    """Writes the page: the table, what is not in it, parallel coordinates and learning curves.

    Args:
        name: of the sweep; trials: all of them; path: of the HTML file, which is replaced.
    """
    shades = {trial.folder: colour(place) for place, row in enumerate(summary.rows) for trial in row.trials}
    ordered = [trial for row in summary.rows for trial in row.trials]
    ordered += [trial for trial in trials if trial.folder not in shades]
    told = summary.told
    sections = [_results(summary)]
    if summary.rest:
        kinds = ["error" if status == "failed" else "" for _, status, _ in summary.rest]
        sections += ["<h2>Not in the table</h2>", REST, table(["trial", "status", ""], summary.rest, kinds)]
    finished = [trial for trial in ordered if trial.folder in shades and _score(trial) != "-"]
    if finished:
        drawn = [
            (trial.described(told), shades[trial.folder], [*map(trial.value, told), _score(trial)])
            for trial in finished
        ]
        sections.append(parallel_coordinates("one line a trial", [*told, "mask AP"], drawn))
    for title, column, along in (("mask AP", "segm/AP", "epoch"), ("training loss", "train/loss", "step")):
        curves = [
            Line(
                f"{trial.described(told)} ({trial.status})",
                shades.get(trial.folder, GREY),
                [(x + (along == "epoch"), y) for x, y in read_curve(trial.folder, column, along)],
            )
            for trial in ordered
        ]
        sections.append(lines(title, along, curves))
    sections += ["<h2>Trials</h2>", _trials(told, ordered)]
    write_html(f"Sweep {name}", sections, path, STYLE)


def _results(summary: Summary) -> str:
    """The table, each row with the colour of its lines."""
    rows = [[Html(swatch(colour(place))), *cells(summary, row)] for place, row in enumerate(summary.rows)]
    note = "mean ± standard deviation over seeds and folds, of the last validation; the best mask AP first"
    commits = "<p><b>Not all were trained by the same code.</b></p>" if summary.several_commits else ""
    return f"<p>{note}; {duration(summary.seconds)} in all</p>{commits}{table(['', *head(summary)], rows)}"


def _trials(told: list[str], trials: list[Trial]) -> str:
    rows = []
    for trial in trials:
        result = trial.result
        values = [*map(trial.value, told), trial.status, _score(trial)]
        rows.append((*values, duration(result.seconds) if result else "", _folder(trial)))
    return table([*told, "status", "mask AP", "time", "folder"], rows)


def _folder(trial: Trial) -> str:
    """Its name, which links the trial's own page where there is one; relative, so that the sweep can be moved."""
    name = trial.folder.name
    if not (trial.folder / "report.html").is_file():
        return name
    return Html(f'<a href="{quote(name)}/report.html">{escape(name)}</a>')


def _score(trial: Trial) -> str:
    score = trial.result.scores.get("segm/AP") if trial.result is not None else None
    return "-" if score is None else f"{score:.3f}"
