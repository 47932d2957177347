"""TIFF pictures: any number of channels, layouts, compressions, orientations, and what is refused."""

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from maskrcnn.data.header import read_header
from maskrcnn.data.pictures import PictureReader
from tests.data.orientations import SEEN

HEIGHT, WIDTH = 20, 30


def random_pixels(channels: int, dtype: Any) -> np.ndarray:
    return np.random.default_rng(channels).integers(
        np.iinfo(dtype).max + 1, size=(HEIGHT, WIDTH, channels), dtype=dtype
    )


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """8 bits as they are, 16 bits divided by 257."""
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257).astype(np.uint8)


def encode(pixels: np.ndarray, **options: Any) -> bytes:
    """A TIFF of [h, w, c], by default with the samples of a pixel side by side."""
    file = io.BytesIO()
    planar = options.get("planarconfig") == "separate"
    pixels = pixels.transpose(2, 0, 1) if planar else pixels[..., 0] if pixels.shape[2] == 1 else pixels
    layout = {} if pixels.ndim == 2 else {"planarconfig": "contig"}
    tifffile.imwrite(file, pixels, **{"photometric": "minisblack", **layout, **options})
    return file.getvalue()


def encode_lzw(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".tif", pixels if pixels.shape[2] == 1 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])[
        1
    ].tobytes()


def with_tags(tiff: bytes, tags: dict[int, int]) -> bytes:
    """Sets tags of 16 bits in a little-endian TIFF of one page, by a directory of its own at the end."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    places = [start + 2 + 12 * i for i in range(count)]
    entries = {struct.unpack_from("<H", tiff, place)[0]: tiff[place : place + 12] for place in places}
    entries |= {tag: struct.pack("<HHIHxx", tag, 3, 1, value) for tag, value in tags.items()}
    tiff += bytes(len(tiff) % 2)
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory


def read(
    data: bytes, folder: Path, channels: int, size: tuple[int, int] | None = None, most: int = 65535
) -> np.ndarray:
    (folder / "a.tif").write_bytes(data)
    return PictureReader(channels, most)(folder / "a.tif", size)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 16)},
        {"tile": (16, 16), "compression": "zlib"},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (16, 16), "compression": "zlib"},
        {"byteorder": ">"},
        {"bigtiff": True},
    ],
    ids=str,
)
def test_channels_come_as_they_were_written(tmp_path: Path, channels: int, dtype: Any, options: Any) -> None:
    if channels == 1:
        options = {key: value for key, value in options.items() if key != "planarconfig"}
    pixels = random_pixels(channels, dtype)
    np.testing.assert_array_equal(read(encode(pixels, **options), tmp_path, channels), to_bytes(pixels))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lzw_is_read_up_to_four_channels(tmp_path: Path, channels: int, dtype: Any) -> None:
    pixels = random_pixels(channels, dtype)
    np.testing.assert_array_equal(read(encode_lzw(pixels), tmp_path, channels), to_bytes(pixels))


def test_pages_are_channels_but_previews_are_not(tmp_path: Path) -> None:
    pixels = random_pixels(5, np.uint16)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        for i in range(5):
            file.write(pixels[..., i], photometric="minisblack", metadata=None)
            file.write(pixels[..., i], photometric="minisblack", metadata=None, subfiletype=1)  # marked as a preview
            file.write(pixels[::2, ::2, i], photometric="minisblack", metadata=None)  # smaller
    data = (tmp_path / "pages.tif").read_bytes()
    np.testing.assert_array_equal(read(data, tmp_path, 5), to_bytes(pixels))
    with pytest.raises(ValueError, match=r"a\.tif has 5 channels, but data\.channels is 3: .*set data\.channels=5 and"):
        read(data, tmp_path, 3)


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("encoder", [encode, encode_lzw])
def test_orientation_is_that_of_the_annotations(tmp_path: Path, channels: int, orientation: int, encoder: Any) -> None:
    if channels == 5 and encoder is encode_lzw:
        encoder = lambda pixels: encode(pixels, compression="zlib")  # noqa: E731
    pixels = random_pixels(channels, np.uint16)
    data = with_tags(encoder(pixels), {274: orientation})
    seen = SEEN[orientation](to_bytes(pixels))
    np.testing.assert_array_equal(read(data, tmp_path, channels), seen)
    np.testing.assert_array_equal(read(data, tmp_path, channels, seen.shape[:2]), seen)
    if orientation >= 5:
        np.testing.assert_array_equal(read(data, tmp_path, channels, (HEIGHT, WIDTH)), to_bytes(pixels))
    with pytest.raises(ValueError, match=rf"a\.tif is {seen.shape[0]} pixels high and {seen.shape[1]} wide, but its"):
        read(data, tmp_path, channels, (9, 9))


def test_a_palette_is_looked_up_and_turned(tmp_path: Path) -> None:
    indices = random_pixels(1, np.uint8)
    colours = np.random.default_rng(1).integers(256, size=(256, 3)).astype(np.uint8)
    data = encode(indices, photometric="palette", colormap=colours.T.astype(np.uint16) * 257)
    seen = SEEN[6](colours[indices[..., 0]])
    np.testing.assert_array_equal(read(with_tags(data, {274: 6}), tmp_path, 3), seen)


def test_inks_become_colours(tmp_path: Path) -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], np.uint8)
    colours = [[[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0]]]
    assert read(encode(inks, photometric="separated"), tmp_path, 3).tolist() == colours


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("encoder", [lambda pixels: encode(pixels, photometric="rgb"), encode_lzw])
def test_declared_opacity_is_put_on_black_with_three_channels_and_kept_with_four(
    tmp_path: Path, dtype: Any, encoder: Any
) -> None:
    pixels = random_pixels(4, dtype)
    straight, multiplied, other = (with_tags(encoder(pixels), {338: kind}) for kind in (2, 1, 0))
    colours, opacity = to_bytes(pixels)[..., :3], to_bytes(pixels)[..., 3:]
    np.testing.assert_array_equal(read(straight, tmp_path, 3), np.rint(colours * (opacity / 255)))
    np.testing.assert_array_equal(read(multiplied, tmp_path, 3), colours)
    with pytest.raises(ValueError, match=r"a\.tif has 4 channels, but data\.channels is 3"):
        read(other, tmp_path, 3)
    for data in (straight, multiplied, other):
        np.testing.assert_array_equal(read(data, tmp_path, 4), to_bytes(pixels))


def test_grey_with_opacity(tmp_path: Path) -> None:
    pixels = random_pixels(2, np.uint8)
    data = with_tags(encode(pixels), {338: 2})
    black = np.rint(pixels[..., :1] * (pixels[..., 1:] / 255))
    np.testing.assert_array_equal(read(data, tmp_path, 3), black[..., [0, 0, 0]])
    np.testing.assert_array_equal(read(data, tmp_path, 2), pixels)


def test_a_12_bit_camera(tmp_path: Path) -> None:
    pixels = np.tile(np.array([0, 8, 9, 2047, 2048, 4087, 4095, 5000], np.uint16)[None, :, None], (2, 1, 5))
    seen = read(encode(pixels), tmp_path, 5, most=4095)
    assert seen[0, :, 0].tolist() == [0, 0, 1, 127, 128, 255, 255, 255]  # 2047 * 255 / 4095 = 127.47
    np.testing.assert_array_equal(seen, np.minimum(np.rint(pixels / 4095 * 255), 255))


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_other_types_are_refused_with_the_remedy(tmp_path: Path, dtype: Any) -> None:
    with pytest.raises(
        ValueError,
        match=rf"a\.tif has pixels of type {np.dtype(dtype)}; convert it to 8 or 16 bits .* one scale for all",
    ):
        read(encode(random_pixels(5, np.uint8).astype(dtype)), tmp_path, 5)


def test_a_compression_that_nothing_reads_is_named(tmp_path: Path) -> None:
    data = with_tags(encode(random_pixels(5, np.uint8)), {259: 34712})  # JPEG 2000
    with pytest.raises(
        ValueError, match=r"a\.tif is a TIFF of 5 samples a pixel in 1 pages with compression JPEG2000, .* imagecodecs`"
    ):
        read(data, tmp_path, 5)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=str)
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.95])
def test_broken_files_are_named(tmp_path: Path, options: Any, share: float) -> None:
    whole = encode(random_pixels(5, np.uint16), **options)
    with pytest.raises(ValueError, match=r"a\.tif is not a picture, or broken \(.* bytes\): replace it"):
        read(whole[: int(share * len(whole))], tmp_path, 5)


def test_pages_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((HEIGHT, WIDTH), np.uint8))
    with tifffile.TiffFile(path) as file:
        first = file.pages.first.offset
    data = bytearray(path.read_bytes())
    end = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    assert data[end : end + 4] == b"\0\0\0\0"
    struct.pack_into("<I", data, end, first)
    path.write_bytes(data)
    for read in (read_header, lambda path: PictureReader(3, 65535)(path, None)):
        with pytest.raises(ValueError, match=r"a\.tif is not a picture, or broken"):
            read(path)


def test_few_bytes_are_no_large_picture(tmp_path: Path) -> None:
    """A strip of no bytes is black: so written, a gigapixel takes 200."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((1, 1), np.uint8), compression="zlib")
    with tifffile.TiffFile(path) as file:
        places = {
            name: file.pages.first.tags[name].valueoffset for name in ("ImageWidth", "ImageLength", "RowsPerStrip")
        }
        strip = file.pages.first.tags["StripByteCounts"].valueoffset
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, strip, 0)
    for side, broken in ((100, False), (2**15, True)):
        for place in places.values():
            struct.pack_into("<I", data, place, side)
        path.write_bytes(data)
        with pytest.raises(ValueError, match="not a picture, or broken") if broken else contextlib.nullcontext():
            assert PictureReader(1, 65535)(path, None).shape == (side, side, 1)
