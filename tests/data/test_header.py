"""Channels in a header against what the reader makes of the file."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskrcnn.data.header import read_header
from maskrcnn.data.pictures import PictureReader

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 6), np.uint8)


def save(folder: Path, kind: str) -> Path:
    name, _, mode = kind.partition(" ")
    path = folder / f"a.{name}"
    if name == "tif":
        samples = {"5": 5, "6": 6, "rgb": 3, "rgba": 4, "grey": 1, "pages": 2}[mode]
        values = PIXELS[..., :samples]
        if mode == "pages":
            tifffile.imwrite(path, values.transpose(2, 0, 1), photometric="minisblack")
        elif mode == "grey":
            tifffile.imwrite(path, values[..., 0], photometric="minisblack")
        elif mode.startswith("rgb"):
            tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unassalpha"] * (samples - 3))
        else:
            tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    elif mode == "keyed":
        Image.fromarray(PIXELS[..., :3]).save(path, transparency=(1, 2, 3))
    elif mode == "16":
        Image.fromarray(PIXELS[..., 0].astype(np.uint16)).save(path)
    else:
        Image.fromarray(PIXELS[..., :3]).convert(mode).save(path)
    return path


KNOWN = {"png L": 1, "png RGB": 3, "png LA": 2, "png RGBA": 4, "png 16": 1, "png 1": 1, "jpg L": 1, "jpg RGB": 3,
         "tif 5": 5, "tif 6": 6, "tif rgb": 3, "tif rgba": 4, "tif grey": 1, "tif pages": 2,
         "png P": None, "png keyed": None, "jpg CMYK": None, "bmp RGB": None, "webp RGB": None}  # fmt: skip


@pytest.mark.parametrize("kind", KNOWN)
def test_channels_are_those_that_are_read(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind)
    header = read_header(path)
    assert (header.channels, header.shown, header.stored) == (KNOWN[kind], (5, 7), (5, 7))
    for channels in range(1, 7):
        try:
            assert PictureReader(channels, 65535)(path, None).shape == (5, 7, channels)
            read = True
        except ValueError:
            read = False
        assert header.suits(channels) == (read or header.channels is None)


def test_headers_of_any_size_are_read_and_pillow_s_guard_stays_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, "png RGB")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # less than half of what it has, which is refused
    with ThreadPoolExecutor(8) as pool:
        assert {header.shown for header in pool.map(read_header, [path] * 200)} == {(5, 7)}
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


def test_importing_leaves_pillow_s_guard() -> None:
    said = "from PIL import Image; before = Image.MAX_IMAGE_PIXELS; import maskrcnn.data.header; "
    subprocess.run([sys.executable, "-c", f"{said} assert Image.MAX_IMAGE_PIXELS == before > 0"], check=True)
