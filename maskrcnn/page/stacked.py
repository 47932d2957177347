"""Stacked bars as SVG: what a whole is made of, for several wholes."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from maskrcnn.page.html import shorten
from maskrcnn.page.lines import ticks

_WIDTH, _ROW, _LABEL, _RIGHT = 720, 22, 150, 110  # pixels
_LEGEND, _AXIS = 18, 34  # pixels a line of the legend takes, and the axis


class Kind(NamedTuple):
    """One part that bars are made of."""

    name: str
    colour: str


class Bar(NamedTuple):
    """One whole."""

    name: str
    whole: int
    parts: Sequence[int]  # of each kind; they need not fill the whole


def stacked(along: str, kinds: Sequence[Kind], drawn: Sequence[Bar]) -> str:
    """Bars of the parts' shares of their whole, one below the other, with a legend of the kinds that occur.

    Args:
        along: name of the axis, which ends at the longest bar.
        kinds: of the parts, from left to right; the legend counts them in the first bar. drawn: at least one bar.

    Returns:
        A drawing that is also a file of its own.
    """
    longest = max((sum(bar.parts) / bar.whole for bar in drawn if bar.whole), default=0.0) or 1.0
    there = [i for i in range(len(kinds)) if any(bar.parts[i] for bar in drawn)]
    room, bottom = _WIDTH - _LABEL - _RIGHT, len(drawn) * _ROW

    def across(share: float) -> float:
        return round(_LABEL + room * share / longest, 1)

    parts = []
    for tick in ticks(0.0, longest):
        x = across(tick)
        parts.append(f'<line x1="{x}" x2="{x}" y1="0" y2="{bottom}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{round(100 * tick, 6):g} %</text>')
    parts.append(f'<text x="{_LABEL + room / 2}" y="{bottom + 30}" text-anchor="middle">{escape(along)}</text>')
    for place, bar in enumerate(drawn):
        y, done = place * _ROW, 0
        parts.append(f'<text x="{_LABEL - 6}" y="{y + 15}" text-anchor="end">{escape(shorten(bar.name, 22))}</text>')
        for i in there:
            if bar.parts[i]:
                left, right = across(done / bar.whole), across((done + bar.parts[i]) / bar.whole)
                about = f"<title>{escape(kinds[i].name)}: {bar.parts[i]} of {bar.whole}</title>"
                parts.append(
                    f'<rect x="{left}" y="{y + 2}" width="{round(right - left, 1)}" height="{_ROW - 5}" '
                    f'fill="{kinds[i].colour}">{about}</rect>'
                )
                done += bar.parts[i]
        end = across(done / bar.whole) if bar.whole else _LABEL
        parts.append(f'<text x="{end + 5}" y="{y + 15}">{done} of {bar.whole}</text>')
    for line, i in enumerate(there):
        y, total = bottom + _AXIS + line * _LEGEND, sum(bar.parts[i] for bar in drawn[:1])
        parts.append(f'<rect x="{_LABEL}" y="{y + 4}" width="12" height="12" fill="{kinds[i].colour}"/>')
        parts.append(f'<text x="{_LABEL + 18}" y="{y + 14}">{escape(kinds[i].name)} ({total})</text>')
    height = bottom + _AXIS + len(there) * _LEGEND + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'style="font: 12px system-ui, sans-serif; background: #fff">{"".join(parts)}</svg>'
    )
