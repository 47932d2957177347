"""Sentences and tables in a terminal or a log."""

from typing import Any

from rich.console import Console
from rich.text import Text

from maskrcnn.config.printable import printable


class Terminal(Console):
    """rich's console for texts of others' files: brackets and colons mean nothing, and no control character gets out.

    Args:
        options: of rich's.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """What rich makes of each text, those in tables too."""
        return super().render_str(printable(text), **options)


def say(console: Console, sentence: str) -> None:
    """Prints a sentence as it is: numbers and paths without colours, and no line broken, so that it can be copied."""
    console.print(sentence, highlight=False, soft_wrap=True)
