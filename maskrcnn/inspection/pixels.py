"""What only the pixels tell: broken pictures, copies, pictures that train and val share, channels' mean and spread."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.progress import follow
from maskrcnn.data.records import Records
from maskrcnn.data.stored import Stored
from maskrcnn.data.views import Shown
from maskrcnn.inspection.finding import Findings

THUMB = 16  # pixels on a side of what is compared
ALIKE = 0.99  # correlation of two such; COCO's and the nuclei's unrelated pictures stay below
SAME = "pictures of val that are in train too"
PLAIN = 2.0  # grey levels of spread, below which a picture is blank and resembles every other
EMPTY = 0.5  # deviation in each channel, below which nothing is to be seen: rounding alone gives 0.3


class Pixels(NamedTuple):
    """What was seen of N pictures; those that cannot be read have an empty hash."""

    hashes: list[str]  # of the files
    thumbs: np.ndarray  # [N, THUMB * THUMB] float32, mean 0 and length 1; 0 where a picture is blank
    sums: np.ndarray  # [N, 3, C] float64 of each channel: pixels, their sum, the sum of their squares
    brightest: np.ndarray  # [N] int64, the largest value of those of 16 bits, opacity apart; 0 for others
    broken: dict[int, str]  # what is wrong with those that cannot be read, by position


class _Seen(NamedTuple):
    hash: str
    thumb: np.ndarray
    sums: np.ndarray  # [3, C], as in `Pixels`
    brightest: int


def see_pictures(records: Records, read: PictureReader) -> Pixels:
    """Decodes every picture, on all cores.

    Args:
        records: of the file.
        read: reads the pictures.
    """

    def see(path: Path, size: tuple[int, int]) -> _Seen | str:
        try:
            data = path.read_bytes()
            stored = read.decode(data, path)
            image = read.convert(stored, path, size)
            return _see(hashlib.sha256(data).hexdigest(), image, _brightest(stored))
        except OSError as error:
            return f"{path} cannot be opened ({error.strerror})"
        except ValueError as error:
            return str(error)

    paths = [records.images / name for name in records.names()]
    with ThreadPoolExecutor() as pool:
        found = list(follow(pool.map(see, paths, map(tuple, records.sizes.tolist())), len(paths), "pixels"))
    nothing = _Seen("", np.zeros(THUMB * THUMB, np.float32), np.zeros((3, read.channels)), 0)
    seen = [nothing if isinstance(one, str) else one for one in found]
    return Pixels(
        [one.hash for one in seen],
        np.stack([one.thumb for one in seen]),
        np.stack([one.sums for one in seen]),
        np.array([one.brightest for one in seen]),
        {index: one for index, one in enumerate(found) if isinstance(one, str)},
    )


def channel_statistics(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, [C] float64 in 0..255.

    Args:
        sums: of `Pixels`.
    """
    number, total, squares = sums.sum(axis=0)
    mean = total / np.maximum(number, 1)
    return mean, np.sqrt(np.maximum(squares / np.maximum(number, 1) - mean**2, 0))


def _brightest(stored: Stored) -> int:
    if stored.pixels.dtype != np.uint16:
        return 0
    return int((stored.pixels[..., :-1] if stored.alpha else stored.pixels).max())


def _see(digest: str, image: np.ndarray, brightest: int) -> _Seen:
    grey = image[..., :3].mean(axis=-1, dtype=np.float32)
    thumb = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA).ravel()
    thumb -= thumb.mean()
    thumb = thumb / np.linalg.norm(thumb) if thumb.std() >= PLAIN else np.zeros_like(thumb)
    mean, spread = (values.ravel() for values in cv2.meanStdDev(image))
    pixels = np.full_like(mean, image.shape[0] * image.shape[1])
    return _Seen(digest, thumb, np.stack([pixels, pixels * mean, pixels * (spread**2 + mean**2)]), brightest)


def check_copies(records: Records, pixels: Pixels, findings: Findings) -> None:
    """Looks for files with the same content."""
    first: dict[str, int] = {}
    names, ids = records.names(), records.ids()
    for index, digest in enumerate(pixels.hashes):
        before = first.setdefault(digest, index)
        if digest and names[before] != names[index]:  # one file under two ids is told of as such
            what = "pictures that are copies of another"
            findings.add("note", what, "keep one of each", f"{names[index]} = {names[before]}", ids[index])


def check_sets(trains: list[tuple[str, Shown, Pixels, Findings]]) -> None:
    """Looks for files of the same content in several data sets of a mixture: annotations may contradict each other.

    Args:
        trains: of each part that is learnt its name, its pictures, what was seen of the file that they come from, and
            what gets the findings.
    """
    first: dict[str, str] = {}
    for name, shown, seen, findings in trains:
        own: dict[str, str] = {}
        for picture, id_, place in zip(shown.names(), shown.ids(), shown.indices):
            digest = seen.hashes[place]
            if digest in first:
                what = "pictures that another data set has too"
                findings.add("note", what, "keep one of each", f"{picture} = {first[digest]}", id_)
            elif digest:
                own[digest] = f"{picture} of {name}"
        first.update(own)


def check_empty(records: Records, pixels: Pixels, findings: Findings) -> None:
    """Looks for annotated pictures that are of one colour as training reads them."""
    number, total, squares = pixels.sums.transpose(1, 0, 2)
    variance = squares / np.maximum(number, 1) - (total / np.maximum(number, 1)) ** 2
    empty = (number > 0).all(axis=1) & (variance < EMPTY**2).all(axis=1)
    empty &= np.bincount(records.picture, minlength=len(records)) > 0
    names, ids = records.names(), records.ids()
    for index in np.flatnonzero(empty).tolist():
        what = "pictures with objects that are of one colour as training reads them"
        remedy = "replace them; where they are transparent, remove the transparency, for what it hides becomes black"
        findings.add("note", what, remedy, names[index], ids[index])


def check_range(files: list[tuple[Records, Pixels, Findings]], max_value: int) -> None:
    """Looks for pictures of 16 bits that leave half of the values up to `data.max_value` or more without use.

    Args:
        files: pictures, what was seen of them, and what gets the findings; max_value: `data.max_value`.
    """
    most = max(int(seen.brightest.max(initial=0)) for _, seen, _ in files)
    whole = 2 ** most.bit_length() - 1  # what a camera of that many bits can give
    if not most or 2 * whole > max_value + 1:
        return
    for records, seen, findings in files:
        names, ids = records.names(), records.ids()
        for index in np.flatnonzero(seen.brightest).tolist():
            what = f"pictures of 16 bits, whose brightest value is {most} (data.max_value is {max_value})"
            findings.add("note", what, f"data.max_value={whole} uses the whole range", names[index], ids[index])


def check_same_files(train: Shown, val: Shown, findings: Findings) -> None:
    """Looks for pictures of val that are files of train."""
    known = {train.records.images.resolve() / name for name in train.names()}
    folder = val.records.images.resolve()
    for id_, name in zip(val.ids(), val.names()):
        if folder / name in known:
            findings.add("note", SAME, "leave them out of one", f"{name} = {name}", id_)


def check_leaks(train: Shown, val: Shown, seen: tuple[Pixels, Pixels], findings: Findings) -> None:
    """Looks for pictures that are in train and in val, or nearly: validation would reward memory.

    Args:
        train, val: the pictures; seen: of the files that they come from.
    """
    if not len(train):
        return
    known = {seen[0].hashes[place]: index for index, place in enumerate(train.indices) if seen[0].hashes[place]}
    names, ids = (train.names(), val.names()), val.ids()
    learnt = seen[0].thumbs[train.indices]
    for start in range(0, len(val), 512):
        places = val.indices[start : start + 512]
        likeness = seen[1].thumbs[places] @ learnt.T
        for row, index in enumerate(likeness.argmax(axis=1).tolist()):
            name, id_ = names[1][start + row], ids[start + row]
            same = known.get(seen[1].hashes[places[row]])
            if same is not None:
                findings.add("note", SAME, "leave them out of one", f"{name} = {names[0][same]}", id_)
            elif likeness[row, index] >= ALIKE:
                what = "pictures of val that are nearly in train too"
                findings.add("note", what, "keep pictures of one scene in one part", f"{name} ~ {names[0][index]}", id_)
