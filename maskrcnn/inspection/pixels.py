"""What only the pixels tell: broken pictures, copies, pictures that train and val share, channels' mean and spread."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.data.progress import follow
from maskrcnn.data.records import Record, Records
from maskrcnn.inspection.finding import Findings

THUMB = 16  # pixels on a side of what is compared
ALIKE = 0.99  # correlation of two such; COCO's and the nuclei's unrelated pictures stay below
PLAIN = 2.0  # grey levels of spread, below which a picture is blank and resembles every other

Reader = Callable[[Path, tuple[int, int]], np.ndarray]


class Pixels(NamedTuple):
    """What was seen of N pictures; those that cannot be read have an empty hash."""

    hashes: list[str]  # of the files
    thumbs: np.ndarray  # [N, THUMB * THUMB] float32, mean 0 and length 1; 0 where a picture is blank
    mean: np.ndarray  # [C] float64 in 0..255
    std: np.ndarray  # [C] float64


class _Seen(NamedTuple):
    hash: str
    thumb: np.ndarray
    sums: np.ndarray  # [3, C] float64: pixels, their sum, the sum of their squares


def see_pictures(records: Records, read: Reader, findings: Findings) -> Pixels:
    """Decodes every picture, on all cores.

    Args:
        records: of the part.
        read: reads a picture of a height and width, [H, W, C] uint8; a ValueError says that it cannot.
        findings: gets those that cannot be read.
    """

    def see(record: Record) -> _Seen | None:
        try:
            digest = hashlib.sha256(record.path.read_bytes()).hexdigest()
            return _see(digest, read(record.path, (record.height, record.width)))
        except (ValueError, OSError):
            return None

    found: list[_Seen | None] = []
    with ThreadPoolExecutor() as pool:
        for record, seen in zip(records, follow(pool.map(see, records), len(records), "pixels")):
            found.append(seen)
            if seen is None:
                what = "pictures that cannot be decoded, or not as this configuration reads them"
                findings.add("error", what, "replace them, or leave them out", record.path.name)
    empty = np.zeros(THUMB * THUMB, np.float32)
    read_ones = [seen for seen in found if seen is not None]
    number, total, squares = sum((seen.sums for seen in read_ones), np.zeros((3, 1)))
    mean = total / np.maximum(number, 1)
    return Pixels(
        ["" if seen is None else seen.hash for seen in found],
        np.stack([empty if seen is None else seen.thumb for seen in found]),
        mean,
        np.sqrt(np.maximum(squares / np.maximum(number, 1) - mean**2, 0)),
    )


def _see(digest: str, image: np.ndarray) -> _Seen:
    grey = image[..., :3].mean(axis=-1, dtype=np.float32)
    thumb = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA).ravel()
    thumb -= thumb.mean()
    thumb = thumb / np.linalg.norm(thumb) if thumb.std() >= PLAIN else np.zeros_like(thumb)
    mean, spread = (values.ravel() for values in cv2.meanStdDev(image))
    pixels = np.full_like(mean, image.shape[0] * image.shape[1])
    return _Seen(digest, thumb, np.stack([pixels, pixels * mean, pixels * (spread**2 + mean**2)]))


def check_copies(records: Records, pixels: Pixels, findings: Findings) -> None:
    """Looks for files with the same content."""
    first: dict[str, int] = {}
    for index, digest in enumerate(pixels.hashes):
        before = first.setdefault(digest, index)
        if digest and before != index:
            names = records.names()
            what = "pictures that are copies of another"
            findings.add("note", what, "keep one of each", f"{names[index]} = {names[before]}", records[index].id)


def check_leaks(train: Records, val: Records, seen: tuple[Pixels, Pixels], findings: Findings) -> None:
    """Looks for pictures that are in train and in val, or nearly: validation would reward memory."""
    known = {digest: index for index, digest in enumerate(seen[0].hashes) if digest}
    names = (train.names(), val.names())
    for start in range(0, len(val), 512):
        thumbs = seen[1].thumbs[start : start + 512]
        likeness = thumbs @ seen[0].thumbs.T
        for row, index in enumerate(likeness.argmax(axis=1).tolist()):
            name = names[1][start + row]
            same = known.get(seen[1].hashes[start + row])
            if same is not None:
                what = "pictures of val that are in train too"
                findings.add("note", what, "leave them out of one", f"{name} = {names[0][same]}", val[start + row].id)
            elif likeness[row, index] >= ALIKE:
                what = "pictures of val that are nearly in train too"
                pair = f"{name} ~ {names[0][index]}"
                findings.add("note", what, "keep pictures of one scene in one part", pair, val[start + row].id)
