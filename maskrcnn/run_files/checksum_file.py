"""The checksums of a run's steps, in `checksums.csv`: a line a step with the loss and one sum for each part of the
model. Step 0 is the starting weights.
"""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from maskrcnn.run_files.whole_rows import read_rows
from maskrcnn.whole_file import replacing

NAME = "checksums.csv"
HEAD = ["step", "loss"]  # before the names of the parts
FIRST = 20  # each of so many first steps has a line


class Step(NamedTuple):
    """One optimiser step."""

    loss: str  # before the step, in as many digits as tell any two apart; empty at step 0
    sums: tuple[int, ...]  # of the weights after it, see `checksum`


class Checksums(NamedTuple):
    """What a file holds."""

    parts: tuple[str, ...]  # of the model, as `checksum.parts` names them
    steps: dict[int, Step]

    def rolling(self) -> dict[str, str | int]:
        """The number of steps, and hashes over all losses and over all sums so far."""
        losses = "".join(f"{number} {step.loss}\n" for number, step in self.steps.items())
        sums = "".join(f"{number} {step.sums}\n" for number, step in self.steps.items())
        hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (losses, f"{self.parts}\n{sums}")]
        return {"steps": len(self.steps), "losses": hashes[0], "weights": hashes[1]}


def read(run: Path) -> Checksums:
    """The checksums of a run; a last line that a kill cut short does not count.

    Raises:
        ValueError: there are none, or the file is broken.
    """
    path = run / NAME
    if not path.is_file():
        raise ValueError(f"there is no {path}: the run ended before its first step, or had callbacks.receipt=null")
    head, rows = read_rows(path)
    if head[:2] != HEAD:
        raise ValueError(f"{path} is broken: its first line is not that of checksums")
    parts = tuple(head[2:])
    try:
        steps = {int(row["step"]): Step(row["loss"], tuple(int(row[part]) for part in parts)) for row in rows}
    except ValueError as error:
        raise ValueError(f"{path} is broken: {error}") from error
    return Checksums(parts, steps)


def write(run: Path, checksums: Checksums) -> None:
    """Writes the file as a whole, or not at all."""
    with replacing(run / NAME) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow([*HEAD, *checksums.parts])
        csv.writer(file).writerows(_rows(checksums.steps))


def append(run: Path, steps: dict[int, Step]) -> None:
    """Adds steps to the file."""
    with (run / NAME).open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_rows(steps))


def _rows(steps: dict[int, Step]) -> Iterator[list[int | str]]:
    return ([number, step.loss, *step.sums] for number, step in steps.items())


def cut(run: Path, parts: tuple[str, ...], last: int) -> None:
    """Leaves out the steps after `last`: a run that was killed goes on from its last checkpoint. A file that is gone,
    broken, or of other parts begins anew.
    """
    try:
        found = read(run)
    except ValueError:
        found = Checksums((), {})
    steps = found.steps if found.parts == parts else {}
    write(run, Checksums(parts, {number: step for number, step in steps.items() if number <= last}))
