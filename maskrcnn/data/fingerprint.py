"""Which data: a hash of what a data set's files hold."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from maskrcnn.data.annotations import read_records
from maskrcnn.data.cache import cache_folder
from maskrcnn.data.progress import follow
from maskrcnn.data.records import TEXT
from maskrcnn.data.source import Split, Splits
from maskrcnn.whole_file import replacing

WHOLE = 65_536  # bytes up to which a picture is read whole
SAMPLE = 16_384  # bytes read at the beginning, in the middle and at the end of a larger one


def fingerprint(sources: list[Splits]) -> dict[str, dict[str, Any]]:
    """What each part of the data holds.

    Covered are every byte of the annotation files; and of every picture in them its name, its size in bytes, and its
    content: whole up to 64 kB, beyond that 16 kB each of its beginning, middle and end. Another compression, another
    crop or another version of a picture changes these; so does one pixel of a PNG, which ends with sums over all of it.
    Not seen are a flipped bit between the samples, pixels changed there in a format without compression or sums, and a
    file of the same size whose time of change was put back. Where files lie does not count.

    The result is kept in the cache until the size or the time of change of a picture differs.

    Args:
        sources: where the parts lie, of each data set.

    Returns:
        By part ("train", "val"; "name/train" in a mixture): `annotations` and `pictures`, 64 hexadecimal digits each,
        and `number` of pictures.
    """
    return {name: _of_part(split) for source in sources for name, split in source.parts().items()}


def _of_part(split: Split) -> dict[str, Any]:
    names = read_records(split).names()
    with split.annotations.open("rb") as stream:
        annotations = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"annotations": annotations, "pictures": _of_pictures(split.images, names), "number": len(names)}


def _of_pictures(folder: Path, names: list[str]) -> str:
    paths = [folder / name for name in names]
    cached = cache_folder("fingerprints") / files_state(f"{folder.resolve()} {names}", paths)
    if cached.is_file():
        return cached.read_text(encoding="utf-8")
    whole = hashlib.sha256()
    with ThreadPoolExecutor() as pool:
        contents = follow(pool.map(_content, paths), len(paths), "fingerprint of pictures")
        for name, content in zip(names, contents):
            whole.update(name.encode(*TEXT) + b"\0" + content)
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        cached.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cached) as part:
            part.write_text(whole.hexdigest(), encoding="utf-8")
    return whole.hexdigest()


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        key = hashlib.sha256(b"%d;" % size)
        for start in [0] if size <= WHOLE else [0, (size - SAMPLE) // 2, size - SAMPLE]:
            file.seek(start)
            key.update(file.read(WHOLE if size <= WHOLE else SAMPLE))
    return key.digest()


def files_state(what: str, paths: Iterable[Path]) -> str:
    """64 hexadecimal digits that change when the size or the time of change of a file does.

    Args:
        what: told apart besides; paths: the files. One that is missing has no state.
    """
    key = hashlib.sha256(what.encode(*TEXT))
    for path in paths:
        with suppress(OSError):
            state = os.stat(path)
            key.update(b"%d %d;" % (state.st_size, state.st_mtime_ns))
    return key.hexdigest()
