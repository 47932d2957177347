"""Headers of all pictures against their annotations, before a run instead of in its middle."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maskrcnn.data.coco import cache_folder
from maskrcnn.data.fingerprint import files_state
from maskrcnn.data.header import read_sizes
from maskrcnn.data.progress import follow
from maskrcnn.data.records import Records


def check_headers(records: Records, annotations: Path) -> None:
    """Makes sure that every picture is one, of the size that its annotations are for, turned by its EXIF entry or not.

    That all were sound is kept in the cache until a file changes.

    Args:
        records: pictures to look at; annotations: their file, for the message.

    Raises:
        ValueError: some are not; the message names the first of them.
    """
    paths = [records.images / name for name in records.names()]
    known = cache_folder("headers") / files_state(f"{records.file.name} {records.images.resolve()}", paths)
    if known.exists():
        return
    with ThreadPoolExecutor() as pool:
        found = pool.map(_problem, paths, records.sizes.tolist())
        followed = follow(found, len(paths), "headers of pictures")
        problems = [problem for problem in followed if problem is not None]
    if problems:
        first = "".join(f"\n- {problem}" for problem in problems[:5])
        raise ValueError(
            f"{annotations}: {len(problems)} of {len(paths)} pictures cannot be used{first}\n"
            "python inspect_data.py with the same data=... shows all; with fix=true out=clean.json it leaves them out"
        )
    known.parent.mkdir(parents=True, exist_ok=True)
    known.touch()


def _problem(path: Path, size: list[int]) -> str | None:
    try:
        sizes = read_sizes(path)
    except OSError as error:
        return f"{path} cannot be opened ({error.strerror}): put the picture there"
    except ValueError as error:
        return str(error)
    if tuple(size) in sizes:
        return None
    return f"{path} is {sizes[0][0]} x {sizes[0][1]}, but its annotations are for {size[0]} x {size[1]}"
