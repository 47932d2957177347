"""Parts of self-contained pages."""

import os
from collections.abc import Iterable
from html import escape
from pathlib import Path

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1440px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } th { background: #f2f2f2 }
th, td { border: 1px solid #ccc; padding: .3em .6em; text-align: left }
.error { background: #fde0e0 } .mended { background: #fdf3d8 }
figure { display: inline-block; vertical-align: top; margin: 0 1.5em 1.5em 0 }
figcaption { font-weight: 600; margin: .3em 0 }
.picture figcaption { font-weight: 400; font-size: 13px; max-width: 330px; overflow-wrap: anywhere }
svg text { font-size: 12px }
"""


def write_html(title: str, sections: Iterable[str], path: Path, style: str = "") -> None:
    """Writes a page that needs nothing besides itself.

    Args:
        title: plain text, also its headline; sections: HTML.
        path: of the file; it is replaced as a whole.
        style: CSS besides the common one.
    """
    title = escape(title)
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}{style}</style>'
    partial = path.with_name(f".{path.name}")
    partial.write_text(f"{head}<body><h1>{title}</h1>{''.join(sections)}</body></html>\n", encoding="utf-8")
    os.replace(partial, path)


def table(head: Iterable[str], rows: Iterable[tuple[str, Iterable[object]]]) -> str:
    """A table of rows, each with its CSS class."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f'<tr class="{kind}">{"".join(f"<td>{escape(str(cell))}</td>" for cell in row)}</tr>' for kind, row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"
