"""What changes the fingerprint of a data set, and what does not."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest

from maskrcnn.data.cache import cache_folder
from maskrcnn.data.fingerprint import SAMPLE, WHOLE, fingerprint
from maskrcnn.data.shapes import PLAIN_PNG, ShapesSource


@pytest.fixture
def root(shapes_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shapes_root, tmp_path / "shapes"))


def test_where_files_lie_does_not_count(shapes_root: Path, root: Path, shapes_source: ShapesSource) -> None:
    found = fingerprint(shapes_source.splits(root))
    assert found == fingerprint(shapes_source.splits(shapes_root)) == fingerprint(shapes_source.splits(root))
    assert found["train"]["number"] == 40 and found["val"]["number"] == 10
    assert found["train"]["pictures"] != found["val"]["pictures"]


def test_content_counts(root: Path, shapes_source: ShapesSource) -> None:
    before = fingerprint(shapes_source.splits(root))
    picture = root / "train" / "000003.png"
    pixels = cv2.imread(str(picture))
    assert picture.stat().st_size > WHOLE  # and the pixel lies beyond the beginning: PNG's sums at the end show it
    pixels[len(pixels) // 3, 100, 0] ^= 1
    cv2.imwrite(str(picture), pixels, PLAIN_PNG)
    annotations = root / "val.json"
    annotations.write_text(annotations.read_text() + "\n")
    after = fingerprint(shapes_source.splits(root))
    assert after["train"]["pictures"] != before["train"]["pictures"]
    assert after["train"]["annotations"] == before["train"]["annotations"]
    assert after["val"]["pictures"] == before["val"]["pictures"]
    assert after["val"]["annotations"] != before["val"]["annotations"]


def test_of_a_large_file_beginning_middle_and_end_count(root: Path, shapes_source: ShapesSource) -> None:
    picture, size = root / "train" / "000000.png", 4 * WHOLE
    seen = set()
    for place in (None, 0, size // 2, size - 1, SAMPLE - 1, size - SAMPLE):
        content = bytearray(size)
        if place is not None:
            content[place] = 1
        picture.write_bytes(content)
        os.utime(picture, ns=(0, 7 if place is None else 8 + place))  # the time of change is what the cache goes by
        seen.add(fingerprint(shapes_source.splits(root))["train"]["pictures"])
    assert len(seen) == 6


def test_a_full_disk_leaves_nothing_in_the_cache(
    root: Path, shapes_source: ShapesSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = shapes_source.splits(root)
    known = fingerprint(sources)
    shutil.rmtree(cache_folder("fingerprints"))
    write_text = Path.write_text

    def full(path: Path, text: str, **options: Any) -> int:
        write_text(path, text[:10], **options)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    assert fingerprint(sources) == known
    assert list(cache_folder("fingerprints").iterdir()) == []
