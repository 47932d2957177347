"""A report as one self-contained page."""

import re
from pathlib import Path

from maskrcnn.page.html import write_html
from maskrcnn.report import gallery

STYLE = """
nav { margin-bottom: 1em } nav a { margin-right: 1em }
.facts th { white-space: nowrap; vertical-align: top } .beside { display: flex; flex-wrap: wrap; gap: 0 2em }
.beside > * { min-width: 0; max-width: 100% }
.matrix th { font-weight: 400 } .matrix td { text-align: right; min-width: 2.2em }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px } summary { cursor: pointer }
"""


def write_report(title: str, subtitle: str, sections: list[str], path: Path) -> None:
    """Writes a page with links to its parts.

    Args:
        title: its headline; subtitle: HTML beneath it.
        sections: of `maskrcnn.report.section.section`; empty ones are left out.
        path: of the HTML file; it is replaced.
    """
    titles = re.findall(r'<section id="([^"]*)"><h2>([^<]*)</h2>', "".join(sections))
    links = " ".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in titles)
    head = f"<p>{subtitle}</p><nav>{links}</nav>"
    write_html(title, [head, *sections], path, STYLE + gallery.STYLE, gallery.SCRIPT)
