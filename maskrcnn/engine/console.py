"""Sentences in a terminal or a log."""

from rich.console import Console


def say(console: Console, sentence: str) -> None:
    """Prints a sentence as it is: numbers and paths without colours, and no line broken, so that it can be copied."""
    console.print(sentence, highlight=False, soft_wrap=True)
