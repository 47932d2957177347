import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.stored import find_orientation
from tests.data.orientations import SEEN

read_rgb = PictureReader(3, 65535)


@pytest.fixture
def smooth() -> np.ndarray:
    """[12, 20, 3] uint8 that no rotation maps to itself."""
    rows, columns = np.mgrid[:12, :20]
    return np.stack([rows * 20, columns * 12, 128 + rows * 4 - columns * 5], axis=-1).astype(np.uint8)


def write_jpeg(path: Path, rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Writes a JPEG with an EXIF entry on the camera's orientation (tag 0x112); returns the pixels as stored."""
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation, 0, 0]) + b"\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:])
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("orientation", SEEN)
def test_exif_is_followed_once(tmp_path: Path, smooth: np.ndarray, orientation: int) -> None:
    expected = SEEN[orientation](write_jpeg(tmp_path / "a.jpg", smooth, orientation))
    for size in (None, expected.shape[:2]):
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.jpg", size), expected)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_exif_is_not_followed_where_the_annotations_did_not(
    tmp_path: Path, smooth: np.ndarray, orientation: int
) -> None:
    stored = write_jpeg(tmp_path / "a.jpg", smooth, orientation)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.jpg", (12, 20)), stored)


def test_other_size_is_refused(tmp_path: Path, smooth: np.ndarray) -> None:
    write_jpeg(tmp_path / "a.jpg", smooth, 6)
    with pytest.raises(
        ValueError, match=r"a\.jpg is 20 pixels high and 12 wide, but its annotations are for 24 x 40: corr"
    ):
        read_rgb(tmp_path / "a.jpg", (24, 40))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_broken_pictures_are_named(tmp_path: Path, smooth: np.ndarray, suffix: str, share: float) -> None:
    whole = cv2.imencode(suffix, smooth)[1].tobytes()
    (tmp_path / f"a{suffix}").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=rf"a\{suffix} is not a picture, or broken \(.* bytes\): replace it"):
        read_rgb(tmp_path / f"a{suffix}", None)


def test_text_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("moved to the archive")
    with pytest.raises(ValueError, match=r"a\.png is not a picture, or broken \(20 bytes\)"):
        read_rgb(tmp_path / "a.png", None)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Channels as cv2 has them: blue, green, red, alpha."""
    assert cv2.imwrite(str(path), pixels)


def test_grey_becomes_three_channels(tmp_path: Path, smooth: np.ndarray) -> None:
    write_png(tmp_path / "a.png", smooth[..., 0])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png", (12, 20)), smooth[..., [0, 0, 0]])


def test_colours_are_rgb(tmp_path: Path, smooth: np.ndarray) -> None:
    write_png(tmp_path / "a.png", smooth[..., ::-1])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png", (12, 20)), smooth)


def test_transparent_parts_are_black(tmp_path: Path, smooth: np.ndarray) -> None:
    alpha = np.full((12, 20, 1), 255, np.uint8)
    alpha[:6], alpha[6:8] = 0, 51
    write_png(tmp_path / "a.png", np.concatenate([smooth[..., ::-1], alpha], axis=-1))
    image = read_rgb(tmp_path / "a.png", (12, 20))
    np.testing.assert_array_equal(image[:6], 0)
    np.testing.assert_array_equal(image[6:8], np.rint(smooth[6:8] * 0.2))
    np.testing.assert_array_equal(image[8:], smooth[8:])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits(tmp_path: Path, smooth: np.ndarray, channels: int) -> None:
    wide = np.concatenate([smooth, np.full((12, 20, 1), 255, np.uint8)], axis=-1)[..., :channels].astype(np.uint16)
    write_png(tmp_path / "a.png", np.where(wide < 255, wide * 257 + 100, 65535).astype(np.uint16))  # 257 are a step
    expected = smooth[..., [0, 0, 0]] if channels == 1 else smooth[..., ::-1]
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png", (12, 20)), expected)


def test_float_pixels_are_refused(tmp_path: Path, smooth: np.ndarray) -> None:
    assert cv2.imwrite(str(tmp_path / "a.tiff"), smooth.astype(np.float32))
    with pytest.raises(ValueError, match=r"a\.tiff has pixels of type float32; convert it to 8 or 16 bits"):
        read_rgb(tmp_path / "a.tiff", None)


def test_the_largest_value_of_16_bits_is_exact() -> None:
    values = np.arange(65536)
    assert np.array_equal(PictureReader(3, 65535).bytes, (values + 128) // 257)
    for largest in (1, 255, 4095, 10000, 65534):
        exact = np.minimum(np.floor(values * 255 / largest + 0.5), 255)
        np.testing.assert_array_equal(PictureReader(3, largest).bytes, exact)


def test_grey_stays_one_channel(tmp_path: Path, smooth: np.ndarray) -> None:
    write_png(tmp_path / "a.png", smooth[..., 0])
    np.testing.assert_array_equal(PictureReader(1, 65535)(tmp_path / "a.png", None), smooth[..., :1])
    write_png(tmp_path / "a.png", smooth[..., 0].astype(np.uint16) * 10)
    np.testing.assert_array_equal(PictureReader(1, 2550)(tmp_path / "a.png", None), smooth[..., :1])


@pytest.mark.parametrize("orientation", SEEN)
def test_exif_of_a_grey_jpeg(tmp_path: Path, smooth: np.ndarray, orientation: int) -> None:
    stored = write_jpeg(tmp_path / "a.jpg", smooth[..., [0]], orientation)[..., :1]
    read = PictureReader(1, 65535)
    np.testing.assert_array_equal(read(tmp_path / "a.jpg", None), SEEN[orientation](stored))
    if orientation >= 5:
        np.testing.assert_array_equal(read(tmp_path / "a.jpg", (12, 20)), stored)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_exif_of_a_transparent_png(tmp_path: Path, smooth: np.ndarray, order: str) -> None:
    ends: Any = "little" if order == "II" else "big"
    parts = [(42, 2), (8, 4), (1, 2), (0x112, 2), (3, 2), (1, 4), (6, 2), (0, 2), (0, 4)]
    exif = order.encode() + b"".join(value.to_bytes(size, ends) for value, size in parts)
    pixels = np.concatenate([smooth, np.full((12, 20, 1), 255, np.uint8)], axis=-1)
    png = cv2.imencode(".png", pixels[..., [2, 1, 0, 3]])[1].tobytes()
    chunk = b"eXIf" + exif
    chunk = len(exif).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(png[:33] + chunk + png[33:])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png", None), np.rot90(smooth, -1))
    np.testing.assert_array_equal(PictureReader(4, 65535)(tmp_path / "a.png", None), np.rot90(pixels, -1))
    np.testing.assert_array_equal(PictureReader(4, 65535)(tmp_path / "a.png", (12, 20)), pixels)


def test_exif_cut_short_counts_as_none() -> None:
    exif = b"MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    assert find_orientation(exif) == 6
    assert [find_orientation(exif[:size]) for size in (0, 5, 9, 13, 19)] == [1] * 5


@pytest.mark.parametrize("channels, has", [(1, 3), (2, 3), (4, 1), (5, 3)])
def test_another_number_of_channels_is_refused(tmp_path: Path, smooth: np.ndarray, channels: int, has: int) -> None:
    write_png(tmp_path / "a.png", smooth[..., :has])
    with pytest.raises(
        ValueError,
        match=rf"a\.png has {has} channels, but data\.channels is {channels}: replace the picture, or set "
        rf"data\.channels={has} and give model\.pixel_mean and model\.pixel_std as many values",
    ):
        PictureReader(channels, 65535)(tmp_path / "a.png", None)


def test_impossible_readings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.channels is 0; give 1 or more"):
        PictureReader(0, 65535)
    with pytest.raises(ValueError, match=r"data\.max_value is 65536; give 1 to 65535"):
        PictureReader(3, 65536)
