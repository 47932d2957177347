"""Parts of self-contained pages."""

from collections.abc import Iterable
from html import escape
from itertools import zip_longest
from pathlib import Path

from maskrcnn.whole_file import replacing

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1440px; padding: 0 1em; color: #222 }
h1, p, td { overflow-wrap: anywhere }
table { border-collapse: collapse } th { background: #f2f2f2 }
th, td { border: 1px solid #ccc; padding: .3em .6em; text-align: left }
.error { background: #fde0e0 } .mended { background: #fdf3d8 }
.scroll { overflow: auto; margin: 1em 0; max-height: 1200px } figure .scroll { margin: 0 }
figure { display: inline-block; vertical-align: top; margin: 0 1.5em 1.5em 0; max-width: 100% }
figcaption { font-weight: 600; margin: .3em 0 }
.picture figcaption { font-weight: 400; font-size: 13px; max-width: 330px; overflow-wrap: anywhere }
svg text { font-size: 12px }
.curve { stroke-width: 1.6; stroke-opacity: .8 } .curve:hover { stroke-width: 4; stroke-opacity: 1 }
.swatch { display: inline-block; width: 1em; height: 1em; border-radius: 3px; vertical-align: -.15em }
.legend { margin: .2em 0; max-width: 480px } .legend > span { margin-right: .8em; white-space: nowrap }
figure svg, img { max-width: 100%; height: auto }
@media (max-width: 600px) { body { margin: 1em auto } .scroll td { overflow-wrap: normal } }
@media (max-width: 600px) { figure svg text { font-size: 14px } }
@media (max-width: 600px) { table { font-size: 13px } th, td { padding: .2em .4em } }
"""


def write_html(title: str, sections: Iterable[str], path: Path, style: str = "", script: str = "") -> None:
    """Writes a page that needs nothing besides itself.

    Args:
        title: plain text, also its headline; sections: HTML.
        path: of the file; it is replaced as a whole.
        style: CSS besides the common one.
        script: JavaScript that runs once the page is there.
    """
    title = escape(title)
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}{style}</style>"
    )
    end = f"<script>{script}</script>" if script else ""
    with replacing(path) as part:
        part.write_text(f"{head}<body><h1>{title}</h1>{''.join(sections)}{end}</body></html>\n", encoding="utf-8")


class Html(str):
    """A table's cell that is HTML already, such as a link."""


def table(head: Iterable[str], rows: Iterable[Iterable[object]], kinds: Iterable[str] = ()) -> str:
    """A table; it scrolls by itself where it is long or the page narrow. `kinds` are CSS classes of rows, if any."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    html = ((cell if isinstance(cell, Html) else escape(str(cell)) for cell in row) for row in rows)
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in html)
    body = "".join(f'<tr class="{kind}">{row}</tr>' for row, kind in zip_longest(cells, kinds, fillvalue=""))
    return scrolling(f"<table><tr>{top}</tr>{body}</table>")


def folded(title: str, content: str) -> str:
    """HTML that is shown when its title is clicked."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def scrolling(wide: str) -> str:
    """What may be wider than a phone, or longer than some 40 rows."""
    return f'<div class="scroll">{wide}</div>'


def shorten(text: str, most: int) -> str:
    """A text of at most so many characters, with dots at its end where it is cut."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def figure(title: str, content: str) -> str:
    """A chart or picture, as HTML, with its caption."""
    return f"<figure><figcaption>{escape(title)}</figcaption>{content}</figure>"


def svg(width: int, height: int, parts: Iterable[str]) -> str:
    """A drawing of a size in pixels; it shrinks where the page is narrower."""
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
