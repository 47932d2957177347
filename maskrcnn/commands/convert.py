"""Turns a data set of one annotation format into another."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from maskrcnn.data.convert.annotated import Annotated
from maskrcnn.data.convert.output import check_free
from maskrcnn.data.few import counted, few
from maskrcnn.engine.console import Terminal


def convert(
    *,
    source: str,
    out: str,
    read: Callable[[Path], Annotated],
    write: Callable[[Annotated, Path], None],
    plugins: list[str],
) -> None:
    """Converts a data set and prints a summary. What cannot be expressed is left out, counted and named.

    Args:
        source: what `read` takes: a folder or a file.
        out: file or folder to write, as `write` needs it; nothing is overwritten.
        read: reader of a format, chosen by `from`; write: writer of a format, chosen by `to`.
        plugins: packages of yours that hold readers or writers.

    Raises:
        ValueError: `out` is there, or a file of the source is broken; the message names it.
        FileNotFoundError: the source does not exist.
    """
    check_free(Path(out))
    if not Path(source).exists():
        raise FileNotFoundError(f"source={source}: no such file or folder")
    annotated = read(Path(source))
    write(annotated, Path(out))
    _summarize(annotated, out)


def _summarize(annotated: Annotated, out: str) -> None:
    console = Terminal(highlight=False, soft_wrap=True)
    found = [found for picture in annotated.pictures for found in picture.objects]
    counts = Counter(annotated.classes[each.label] for each in found if not each.crowd)
    crowds = sum(each.crowd for each in found)
    empty = sum(not picture.objects for picture in annotated.pictures)
    console.print(
        f"{counted(len(annotated.pictures), 'picture')} ({empty} without objects), "
        f"{counted(counts.total(), 'object')}, {counted(crowds, 'crowd region')}"
    )
    for name in annotated.classes:
        console.print(f"  {name}: {counts[name]}")
    for kind, where in annotated.findings.items():
        console.print(f"{len(where)} {kind} ({few(where, 3)})")
    console.print(f"wrote {out}; names of pictures start from {annotated.root}")
