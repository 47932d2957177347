"""Headers of all pictures against their annotations, before a run instead of in its middle."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from pathlib import Path

from maskrcnn.data.cache import cache_folder
from maskrcnn.data.coco_file import MEND
from maskrcnn.data.fingerprint import files_state
from maskrcnn.data.header import read_header
from maskrcnn.data.progress import follow
from maskrcnn.data.records import Records


def check_headers(records: Records, annotations: Path, channels: int) -> None:
    """Makes sure that every picture is one, of the size that its annotations are for, turned by its EXIF entry or not,
    and of the right number of channels, where its header tells.

    That all were sound is kept in the cache until a file changes.

    Args:
        records: pictures to look at; annotations: their file, for the message; channels: `data.channels`.

    Raises:
        ValueError: some are not; the message names the first of them.
    """
    paths = [records.images / name for name in records.names()]
    known = cache_folder("headers") / files_state(f"{records.file.name} {records.images.resolve()} {channels}", paths)
    if known.exists():
        return
    with ThreadPoolExecutor() as pool:
        found = pool.map(_problem, paths, records.sizes.tolist(), repeat(channels))
        followed = follow(found, len(paths), "headers of pictures")
        problems = [problem for problem in followed if problem is not None]
    if problems:
        first = "".join(f"\n- {problem}" for problem in problems[:5])
        raise ValueError(f"{annotations}: {len(problems)} of {len(paths)} pictures cannot be used{first}\n{MEND}")
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        known.parent.mkdir(parents=True, exist_ok=True)
        known.touch()


def _problem(path: Path, size: list[int], channels: int) -> str | None:
    try:
        header = read_header(path)
    except OSError as error:
        return f"{path} cannot be opened ({error.strerror}): put the picture there"
    except ValueError as error:
        return str(error)
    if tuple(size) not in header[:2]:
        height, width = header.shown
        return f"{path} is {height} x {width}, but its annotations are for {size[0]} x {size[1]}"
    if not header.suits(channels):
        return f"{path} has {header.channels} channels, but data.channels is {channels}"
    return None
