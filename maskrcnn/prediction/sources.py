"""What is to be predicted: picture files and videos, found, named and read one after the other."""

import glob
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maskrcnn.data.header import SUFFIXES
from maskrcnn.data.pictures import PictureReader
from maskrcnn.prediction.video import VIDEOS, VideoReader


class Clip(NamedTuple):
    """The video that a frame comes from."""

    name: Path  # of what is written for it, without suffix, relative to a folder
    rate: float  # frames a second
    frames: int  # as the file says; 0 if it does not


class Frame(NamedTuple):
    """A picture that was read: a file, or one frame of a video."""

    path: Path  # of the file
    pixels: np.ndarray  # [h, w, C] uint8
    name: Path  # of what is written for it, without suffix, relative to a folder
    image_id: str  # in detections.json
    clip: Clip | None
    number: int  # of the frame in its clip, from 0


def find_files(source: str) -> list[Path]:
    """The pictures and videos that a source names: one file, those of a folder, or a glob.

    Raises:
        ValueError: there are none.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(source, recursive=True))
    files = sorted({p for p in found if p.is_file() and p.suffix.lower() in SUFFIXES | VIDEOS})
    if not files:
        inside = f"no picture in this folder (for those of its sub-folders, give {_deep(source)})"
        reason = inside if path.is_dir() else "no such file, and no picture matches it as a glob"
        raise ValueError(
            f"source={source}: {reason}; pictures end in {', '.join(sorted(SUFFIXES))}, videos in "
            f"{', '.join(sorted(VIDEOS))}"
        )
    return files


def left_below(source: str, output: Path) -> str | None:
    """Says how many pictures and videos of a folder's sub-folders a source leaves out, but those in the folder of the
    outputs and hidden ones, which no glob takes; None without such.
    """
    if not Path(source).is_dir():
        return None
    number = sum(
        Path(name).suffix.lower() in SUFFIXES | VIDEOS and name[0] != "."
        for folder, _, names in os.walk(source)
        if Path(folder) != Path(source) and not Path(folder).resolve().is_relative_to(output.resolve())
        if not any(part[0] == "." for part in Path(folder).relative_to(source).parts)
        for name in names
    )
    if not number:
        return None
    return f"NOTE: {number} files in sub-folders of {source} are left out; {_deep(source)} takes them"


def _deep(source: str) -> str:
    """The override for a folder with its sub-folders."""
    return shlex.quote(f'source="{os.path.join(glob.escape(source), "**")}"')


def name_outputs(files: list[Path]) -> dict[Path, Path]:
    """How what is written for each file is called, without suffix: sub/a for sub/a.jpg, with the sub-folders that the
    files have below the folder that holds all of them.

    Where two files would get the same name, each keeps its suffix (a.jpg, a.png), so that none is lost.
    """
    top = os.path.commonpath([file.parent for file in files])
    full = {file: file.relative_to(top) for file in files}
    short = {file: path.with_suffix("") for file, path in full.items()}
    # A name that is another file's in either form is not used. Some file systems take A.png and a.png for one.
    taken = Counter(str(name).lower() for file in files for name in {short[file], full[file]})
    return {file: short[file] if taken[str(short[file]).lower()] == 1 else full[file] for file in files}


def read_frames(
    files: Iterable[Path], names: dict[Path, Path], read: PictureReader, skip: Callable[[str, Exception], None]
) -> Iterator[Frame]:
    """Reads pictures and the frames of videos, in order.

    Args:
        files: of `find_files`; names: of `name_outputs`.
        read: reads pictures as in training.
        skip: told of a file that cannot be read, or not to its end, by its name; the rest goes on.
    """
    for path in files:
        try:
            if path.suffix.lower() in VIDEOS:
                yield from _video_frames(path, names[path], read.channels)
            else:
                image_id = names[path].with_name(path.name).as_posix()
                yield Frame(path, read(path, None), names[path], image_id, None, 0)
        except (ValueError, OSError) as error:
            skip(path.name, error)


def _video_frames(path: Path, name: Path, channels: int) -> Iterator[Frame]:
    if channels != 3:
        raise ValueError(
            f"{path} is a video, of three channels, but data.channels is {channels}: give pictures instead"
        )
    with VideoReader(path) as video:
        clip = Clip(name, video.rate, video.frames)
        for number, pixels in enumerate(video):
            # In a folder called as the video is, which therefore no other file's outputs can be in.
            place = name.with_name(path.name) / f"{number:06d}"
            yield Frame(path, pixels, place, place.as_posix(), clip, number)
