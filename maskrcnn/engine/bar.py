"""What a terminal shows while a run goes on: three lines that stay at its bottom."""

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


class Bar:
    """A bar of the epoch with speed and time left, the losses, and the AP so far. Fits into 80 columns.

    What is printed meanwhile goes above it.

    Args:
        console: where it is shown.
    """

    def __init__(self, console: Console) -> None:
        self.live = Live(console=console, refresh_per_second=4, transient=True)
        self.title, self.done, self.total = "", 0, 1
        self.pace = self.losses = self.scores = ""

    def start(self) -> None:
        """Shows it."""
        self.live.start()

    def stop(self) -> None:
        """Takes it away."""
        self.live.stop()

    def show(self, title: str, done: int, total: int) -> None:
        """Sets what is under way, and how far it is; other fields are set as they change."""
        self.title, self.done, self.total = title, done, total
        self.live.update(self.render())

    def render(self) -> Group:
        """The three lines."""
        line = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None, None):
            line.add_column(ratio=ratio, no_wrap=True)
        line.add_row(self.title, ProgressBar(self.total, self.done), f"{self.done}/{self.total}", self.pace)
        return Group(
            line, *(Text(text, no_wrap=True, overflow="ellipsis") for text in (self.losses, self.scores) if text)
        )
