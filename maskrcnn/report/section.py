"""Parts of a report: each is left out where there is nothing to show."""

import math
from html import escape


def section(title: str, *parts: str) -> str:
    """A part of a page under its headline, to be linked to by the title; nothing if all of it is empty."""
    content = "".join(parts)
    return f'<section id="{anchor(title)}"><h2>{escape(title)}</h2>{content}</section>' if content else ""


def anchor(title: str) -> str:
    """The title's name in links."""
    return title.lower().replace(" ", "-")


def number(value: float | None) -> str:
    """A score with three digits, or a dash where it is not defined."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
