"""What every reader of a format gives, and every writer takes."""

import reprlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from maskrcnn.data.few import few
from maskrcnn.data.segmentation import Defect, compress

Findings = dict[str, list[str]]  # what was left out or changed, and the files, lines or annotations where


class Region(NamedTuple):
    """An annotated region as it stands in a file, not yet checked."""

    label: int  # 0..K-1
    segmentation: Any  # as in COCO's files: polygons in continuous pixels, or run lengths
    crowd: bool
    where: str  # for messages


class Object(NamedTuple):
    """A region with at least one pixel inside its picture."""

    label: int
    polygons: list[list[float]] | None  # x1, y1, x2, y2, ... in continuous pixels; None where it was no polygon
    mask: bytes  # the same region as compressed run lengths of COCO
    crowd: bool  # a group that is not told apart, or an object that is not to be scored


class Picture(NamedTuple):
    """One picture with its objects, in the frame of `height` and `width`."""

    path: Path
    height: int
    width: int
    objects: list[Object]


@dataclass(frozen=True)
class Annotated:
    """A data set between two formats."""

    root: Path  # the folder that names of pictures start from
    classes: tuple[str, ...]  # of each label
    pictures: list[Picture]
    findings: Findings


def annotate(path: Path, size: tuple[int, int], regions: Iterable[Region], findings: Findings) -> Picture:
    """Turns the regions of one picture into objects. Those without a pixel inside it go to the findings instead.

    Args:
        path: of the picture; size: its height and width, as the regions' coordinates have it.
        regions: in the order of the file; findings: appended to.
    """
    objects = []
    for label, segmentation, crowd, where in regions:
        try:
            mask, short = compress(segmentation, *size)
        except Defect as defect:
            findings.setdefault(f"objects with {defect}: left out", []).append(where)
            continue
        if short:
            findings.setdefault("polygons of fewer than three points: left out of their object", []).append(where)
        polygons = segmentation if isinstance(segmentation, list) and not short else None
        objects.append(Object(label, polygons, mask, crowd))
    return Picture(path, *size, objects)


def check_classes(names: Iterable[Any], where: str) -> tuple[str, ...]:
    """Names of classes as a tuple.

    Raises:
        ValueError: there is none, or one is no text or comes twice; the message starts with `where`.
    """
    classes = tuple(names)
    counts = Counter(name for name in classes if isinstance(name, str))
    odd = [name for name in classes if not isinstance(name, str) or not name or counts[name] > 1]
    if odd or not classes:
        shown = few([reprlib.repr(name) for name in odd[:4]], 3)  # one may be as large as it likes
        raise ValueError(f"{where}: {shown or 'no class'}; name one class or more, each once and with a text")
    return classes
