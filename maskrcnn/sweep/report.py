"""The report of a sweep: in the terminal, and as table.csv, table.md and report.html in its folder."""

import sys
from pathlib import Path

from maskrcnn.engine.console import Terminal, say
from maskrcnn.page.duration import duration
from maskrcnn.sweep.collect import check_folder, collect
from maskrcnn.sweep.page import write_page
from maskrcnn.sweep.table import comma_separated, markdown, summarise, terminal


def report(folder: Path) -> None:
    """Prints the table of a sweep and what is not in it, and writes the files. At any time, also while it runs.

    Raises:
        ValueError: the folder is not a sweep's.
    """
    check_folder(folder)
    trials = collect(folder)
    summary = summarise(trials)
    width = None if sys.stdout.isatty() else 160  # a log has no edge to break lines at
    console = Terminal(width=width)
    if summary.rows:
        console.print(terminal(summary))
    if summary.several_commits:
        console.print("not all were trained by the same code: see the column commit")
    for what, status, why in summary.rest:
        say(console, f"{status}: {what}{f' ({why})' if why else ''}")
    (folder / "table.csv").write_text(comma_separated(summary), encoding="utf-8")
    (folder / "table.md").write_text(markdown(summary), encoding="utf-8")
    write_page(folder.name, summary, trials, folder / "report.html")
    say(
        console,
        f"{len(trials)} trials, {duration(summary.seconds)}; wrote {folder}/report.html, table.csv and table.md",
    )
