"""A run's `receipt.json`: what it was made of, and what came out."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
from omegaconf import OmegaConf

from maskrcnn.config.identity import essence, identity
from maskrcnn.config.later import add_later
from maskrcnn.config.nested import changes
from maskrcnn.config.run_dir import last_checkpoint, run_of
from maskrcnn.run_files import checksum_file
from maskrcnn.run_files.commit import read_commit
from maskrcnn.run_files.machine import hardware, versions
from maskrcnn.run_files.sources import fingerprints
from maskrcnn.whole_file import read_json, write_json

NAME = "receipt.json"


class _Part(TypedDict):
    annotations: str
    pictures: str
    number: int


class _Hardware(TypedDict):
    cpu: str
    cores: int
    threads: int
    gpus: list[str]


class _Start(TypedDict):
    time: datetime
    overrides: list[str]
    identity: str
    changed: list[str]
    commit: str | None
    diff: str | None
    diff_sha256: str | None
    versions: dict[str, str | None]
    hardware: _Hardware
    data: dict[str, _Part] | None
    step: int | None
    seconds: float | None


class _End(TypedDict):
    finished: bool
    steps: int
    seconds: float
    scores: dict[str, float | None]
    weights: str


class _Receipt(TypedDict):
    """What is read of a receipt: `begin` and `maskrcnn.engine.receipt` write it."""

    identity: str
    config: dict[str, Any]
    starting_weights: str | None
    starts: Annotated[list[_Start], msgspec.Meta(min_length=1)]
    end: _End | None


def read(run: Path) -> dict[str, Any]:
    """The receipt of a run.

    Raises:
        ValueError: there is none, or it is broken.
    """
    path = run / NAME
    if run.is_file():
        raise ValueError(f"{run} is a file; name the folder of the run, such as {run_of(run.resolve())}")
    if not path.is_file() and last_checkpoint(run).is_file():
        raise ValueError(f"there is no {path}: the run is of a version that kept none, or it was deleted")
    if not path.is_file():
        raise ValueError(f"there is no {path}; name the folder of a run")
    remedy = "copy it again from where the run was made, or delete it to go on with the run"
    receipt: dict[str, Any] = read_json(path, _Receipt, remedy)
    return receipt


def write(run: Path, receipt: dict[str, Any]) -> None:
    """Writes it as a whole, or not at all."""
    write_json(run / NAME, receipt)


def last_start(receipt: dict[str, Any]) -> dict[str, Any]:
    """The last start that trained; the last one where none did."""
    starts: list[dict[str, Any]] = receipt["starts"]
    return next((start for start in reversed(starts) if start["step"] is not None), starts[-1])


def changed_data(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between the data of two starts, such as "annotations and pictures of train"."""
    found = []
    for part in sorted(before.keys() | now.keys()):
        names = [line.partition(":")[0] for line in changes(before.get(part, {}), now.get(part, {}))]
        if names:
            found.append(f"{' and '.join(names)} of {part}")
    return found


def changed_versions(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is of another version now: "the code of plugin mine", "torch (2.12.0 -> 2.13.0)"."""
    return [
        f"the code of {key}" if key.startswith("plugin ") else f"{key} ({before[key]} -> {now[key]})"
        for key in now
        if before.get(key, now[key]) != now[key]
    ]


def changed_code(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What ran in one start and is another in the next: `changed_versions`, and "the code of maskrcnn (commit
    0123456789 -> 89abcdef01+)", where a + stands for uncommitted changes.
    """
    found = changed_versions(before["versions"], now["versions"])
    if (before["commit"], before["diff_sha256"]) != (now["commit"], now["diff_sha256"]):
        commits = [f"{(one['commit'] or 'unknown')[:10]}{'+' if one['diff'] else ''}" for one in (before, now)]
        found.append(f"the code of maskrcnn (commit {commits[0]} -> {commits[1]})")
    return found


def begin(run: Path, plain: dict[str, Any], overrides: list[str], resume: str | None) -> None:
    """Notes a start of the process, and writes `config.yaml`. A resumed run keeps its receipt, also in another folder.

    Args:
        run: its folder; plain: the resolved configuration; overrides: of the command line.
        resume: folder of the run that this one goes on with.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(plain)), encoding="utf-8")
    receipt: dict[str, Any] = {
        "identity": identity(plain),
        "config": plain,
        "starting_weights": None,
        "starts": [],
        "end": None,
    }
    if resume is not None and (Path(resume) / NAME).is_file():
        receipt = read(Path(resume))
        if Path(resume).resolve() != run.resolve():
            for path in [Path(resume) / checksum_file.NAME, *Path(resume).glob("start_*.diff")]:
                if path.is_file():
                    shutil.copy(path, run)
    number = len(receipt["starts"]) + 1
    commit = read_commit(Path(__file__))
    diff = None if commit is None or not commit.diff else f"start_{number}.diff"
    if commit is not None and diff is not None:
        (run / diff).write_text(commit.diff, encoding="utf-8")
    receipt["starts"].append(
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "overrides": overrides,
            "identity": identity(plain),
            "changed": changes(essence(add_later(receipt["config"])[0]), essence(plain)),
            "commit": None if commit is None else commit.name,
            "diff": diff,
            "diff_sha256": None if commit is None else hashlib.sha256(commit.diff.encode()).hexdigest(),
            "versions": versions() | fingerprints(plain["plugins"]),
            "hardware": hardware(),
            "data": None,
            "step": None,
            "seconds": None,
        }
    )
    write(run, receipt)
