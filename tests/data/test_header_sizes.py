from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.header import check_size, read_header
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.stored import ORIENTATION


def save(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.zeros((12, 20, 3), np.uint8)).save(path, exif=exif)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_the_pictures_that_are_read(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a{suffix}"
    save(path, orientation)
    assert read_header(path).shown == ((20, 12) if orientation >= 5 else (12, 20))
    assert read_header(path).shown == PictureReader(3, 65535)(path, None).shape[:2]


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_annotations_may_be_for_the_picture_before_it_was_turned(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save(path, 6)
    for size in ((12, 20), (20, 12)):
        assert check_size(path, size, tmp_path / "a.json") == size
    save(path, 3)
    with pytest.raises(
        ValueError, match=rf"a\.json is for a picture 20 pixels .* 12 wide, but .*a\{suffix} is 12 x 20"
    ):
        check_size(path, (20, 12), tmp_path / "a.json")


def test_a_broken_exif_entry_is_ignored_as_in_reading(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((12, 20, 3), np.uint8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0no such thing")
    assert (
        read_header(tmp_path / "a.jpg").shown == (12, 20) == PictureReader(3, 65535)(tmp_path / "a.jpg", None).shape[:2]
    )


def test_a_text_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("moved")
    with pytest.raises(ValueError, match=r"a\.png is not a picture, or broken: replace it"):
        read_header(tmp_path / "a.png")
