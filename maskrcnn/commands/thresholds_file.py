"""The score of each class from which on a checkpoint's detections are best, kept beside it for `predict.py`.

`best.thresholds.json` beside `best.ckpt`: {"checkpoint_sha": SHA-256 of the checkpoint, "annotations": the file and
"pictures": how many that the scores were found on, "thresholds": {class: score, or null where no detection was right},
"f1": {class: of masks at IoU 0.5, or null}}.
"""

import hashlib
from pathlib import Path
from typing import TypedDict

from maskrcnn.whole_file import read_json, write_json


class _Kept(TypedDict):
    """What is read of the file."""

    checkpoint_sha: str
    thresholds: dict[str, float | None]


def path_of(checkpoint: Path) -> Path:
    """Where the scores of a checkpoint lie."""
    return checkpoint.with_name(f"{checkpoint.stem}.thresholds.json")


def write(
    path: Path, checkpoint: Path, best: dict[str, dict[str, float] | None], annotations: Path, pictures: int
) -> None:
    """Keeps the best scores.

    Args:
        path: of the file; checkpoint: that was evaluated; best: `maskrcnn.evaluation.thresholds.find_best` of each
            class by name; annotations, pictures: what it was evaluated on.
    """
    content = {
        "checkpoint_sha": _hash(checkpoint),
        "annotations": str(annotations),
        "pictures": pictures,
        "thresholds": {name: found and found["score"] for name, found in best.items()},
        "f1": {name: found and found["f1"] for name, found in best.items()},
    }
    write_json(path, content)


def read(checkpoint: Path) -> dict[str, float]:
    """The best score of each class of a checkpoint; classes of which nothing was found right are not there.

    Raises:
        ValueError: there are none, or they are another checkpoint's.
    """
    path = path_of(checkpoint)
    remedy = f"run evaluate.py checkpoint={checkpoint}, without override and tta, which finds them"
    if not path.is_file():
        raise ValueError(f"there is no {path} with the best scores: {remedy}")
    content = read_json(path, _Kept, remedy)
    if content["checkpoint_sha"] != _hash(checkpoint):
        raise ValueError(f"{path} was written for another state of {checkpoint.name}: {remedy} anew")
    return {name: score for name, score in content["thresholds"].items() if score is not None}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
