"""What a trial's folder says of it: trial.json, what it is, and result.json, how it went."""

from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from maskrcnn.whole_file import read_json, write_json

ABOUT, RESULT = "trial.json", "result.json"
DONE = ("finished", "pruned")  # a trial of this status is not trained again


class Result(NamedTuple):
    """How a trial went."""

    status: str  # running, finished, interrupted, failed or pruned; running also if its process was killed
    reason: str  # why it failed or was pruned
    scores: dict[str, float]  # of the last validation, by "bbox/AP", "segm/AP", ...
    seconds: float  # of all its processes until `started` where it runs, until its end otherwise
    commits: list[str]  # of the code that trained it, the first one first
    starts: int  # processes that trained it one after another
    started: float  # when the last of them did; seconds since 1970


_Kept: Any = TypedDict("_Kept", Result.__annotations__)  # type: ignore[misc]


class _About(TypedDict):
    overrides: list[str]
    choices: dict[str, Any]
    config: dict[str, Any]


def read_result(folder: Path) -> Result | None:
    """The result in a trial's folder, if there is one.

    Raises:
        ValueError: it is broken.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    content = read_json(path, _Kept, "delete it, and repeat the command of the sweep, which goes on with the trial")
    return Result(**{name: content[name] for name in Result._fields})


def write_result(folder: Path, result: Result) -> None:
    """Writes the result into a trial's folder."""
    write_json(folder / RESULT, result._asdict())


def read_about(folder: Path) -> dict[str, Any] | None:
    """What a trial is, if the folder is one's: its "overrides", "choices" and "config".

    Raises:
        ValueError: its file is broken.
    """
    path = folder / ABOUT
    return (
        read_json(path, _About, f"delete {folder} as a whole, and repeat the command of the sweep")
        if path.is_file()
        else None
    )


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Writes into a trial's folder what it is."""
    write_json(folder / ABOUT, about)
