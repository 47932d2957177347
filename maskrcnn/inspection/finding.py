"""What an inspection finds."""

from typing import Any, Literal, NamedTuple

Level = Literal["error", "mended", "note"]  # training stops; training mends it for itself; worth a look
LEVELS: tuple[Level, ...] = ("error", "mended", "note")
MEANING = "An error stops training. What is mended, training mends for itself. A note is worth a look."
HEAD = ("", "part", "found", "number", "first", "what to do")  # of a table of `Finding.cells`
FIRST = 5  # cases of a kind that are named


class Finding(NamedTuple):
    """One kind of defect in one part of a data set."""

    level: Level
    part: str  # as in `Findings`
    what: str  # in the plural: "annotations with an empty segmentation"
    number: int
    first: list[Any]  # ids, or names of files
    remedy: str  # "fix=true: " and what that does about it, or what a person can do
    pictures: list[Any]  # ids of the first pictures concerned, to be shown; empty where there is nothing to see

    def told(self) -> str:
        """The kind and the number, which so fit each other in the singular, too: "pictures that are missing: 1"."""
        return f"{self.what}: {self.number}"

    def cells(self) -> tuple[str, ...]:
        """A row of a table."""
        return self.level, self.part, self.what, str(self.number), ", ".join(map(str, self.first)), self.remedy


class Change(NamedTuple):
    """One thing that mending changed."""

    id: Any  # of the annotation, image or category
    what: str
    done: str


class Findings:
    """Collects what is found in one part of a data set.

    Args:
        part: as the tables name it: train or val, of a mixture after the set's name.

    Attributes:
        changes: what was mended, case by case.
    """

    def __init__(self, part: str) -> None:
        self.part = part
        self.changes: list[Change] = []
        self._kinds: dict[tuple[Level, str, str], tuple[list[Any], list[Any]]] = {}

    def add(self, level: Level, what: str, remedy: str, id_: Any, picture: Any = None) -> None:
        """Notes one case of a kind, with its id, and the id of its picture if it is to be seen there."""
        ids, pictures = self._kinds.setdefault((level, what, remedy), ([], []))
        ids.append(id_)
        if picture is not None and len(pictures) < FIRST and picture not in pictures:
            pictures.append(picture)

    def mend(self, level: Level, what: str, done: str, id_: Any, picture: Any = None, *, gone: bool = False) -> None:
        """Notes one case that was changed, unless what it was found in is `gone`, left out already."""
        self.add(level, what, f"fix=true: {done}", id_, picture)
        if not gone:
            self.changes.append(Change(id_, what, done))

    def all(self) -> list[Finding]:
        """The findings, errors first."""
        found = [
            Finding(level, self.part, what, len(ids), ids[:FIRST], remedy, pictures)
            for (level, what, remedy), (ids, pictures) in self._kinds.items()
        ]
        return sorted(found, key=lambda finding: LEVELS.index(finding.level))
