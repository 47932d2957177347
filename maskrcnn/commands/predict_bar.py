"""What a terminal shows while pictures are predicted."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class PredictBar:
    """A bar of the files, and one of the frames of a video or the tiles of a picture below it. What is printed
    meanwhile goes above them.

    Args:
        console: where it is shown; nothing is where that is no terminal.
    """

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.parts: dict[str, TaskID] = {}

    def __enter__(self) -> "PredictBar":
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def files(self, files: list[Path]) -> Iterator[Path]:
        """The files; each counts as done when the next one is asked for."""
        task = self.progress.add_task("predicting", total=len(files))
        for file in files:
            yield file
            self.progress.advance(task)

    def part(self, name: str, done: int, total: int) -> None:
        """Shows how far the current file is, in parts of a name; `total` is 0 if nobody knows it."""
        if name not in self.parts:
            self.parts[name] = self.progress.add_task(name)
        self.progress.update(self.parts[name], completed=done, total=total or None, visible=done != total)
