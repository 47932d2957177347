import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.config.reason import reason
from maskrcnn.visualize.instances import Instances, draw_instances
from maskrcnn.visualize.sheet import contact_sheet, save_png, side_by_side
from maskrcnn.visualize.text import BLACK, WHITE, put_text, text_size

PICTURE = np.random.default_rng(0).integers(60, 200, (300, 310, 3), dtype=np.uint8)
TRUTH = Instances(np.array([[50.0, 60, 150, 160]]), np.array([0]), None, None)
FOUND = Instances(np.array([[52.0, 60, 150, 165]]), np.array([0]), np.array([0.5]), None)


def caption(text: str, width: int) -> np.ndarray:
    bar = np.zeros((text_size(text, 1)[1], width, 3), np.uint8)
    put_text(bar, text, 0, 0, BLACK, 1)
    assert (bar == 255).any()
    return bar


def test_side_by_side_is_two_captioned_drawings() -> None:
    pair = side_by_side(PICTURE, TRUTH, FOUND, ["disc"], "found")
    left, right = draw_instances(PICTURE, TRUTH, ["disc"]), draw_instances(PICTURE, FOUND, ["disc"])
    rows, columns = left.shape[:2]
    bar = text_size("A", 1)[1]
    gap = pair.shape[1] - 2 * columns
    np.testing.assert_array_equal(pair[bar:, :columns], left)
    np.testing.assert_array_equal(pair[bar:, columns + gap :], right)
    np.testing.assert_array_equal(pair[:bar, :columns], caption("ground truth", columns))
    np.testing.assert_array_equal(pair[:bar, columns + gap :], caption("found", columns))
    assert gap > 0 and (pair[:, columns : columns + gap] == WHITE).all()
    assert pair.shape[0] == bar + rows


def test_contact_sheet_lays_pictures_out_row_by_row() -> None:
    sizes = [(20, 30), (10, 40), (25, 20)]
    pictures = [np.full((*size, 3), 10 * (i + 1), np.uint8) for i, size in enumerate(sizes)]
    sheet = contact_sheet(pictures, columns=2)
    gap = sheet.shape[1] - 2 * 40
    assert gap > 0 and sheet.shape == (2 * 25 + gap, 2 * 40 + gap, 3)
    expected = np.full_like(sheet, 255)
    expected[:20, :30] = 10
    expected[:10, 40 + gap :] = 20
    expected[25 + gap :, :20] = 30
    np.testing.assert_array_equal(sheet, expected)


def test_contact_sheet_of_one_is_the_picture() -> None:
    np.testing.assert_array_equal(contact_sheet([PICTURE], columns=3), PICTURE)


def test_png_holds_the_picture_as_rgb(tmp_path: Path) -> None:
    save_png(tmp_path / "picture.png", PICTURE)
    read = cv2.imread(str(tmp_path / "picture.png"), cv2.IMREAD_COLOR)
    assert read is not None
    np.testing.assert_array_equal(read[:, :, ::-1], PICTURE)


def test_unwritable_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*absent/a\.png'"):
        save_png(tmp_path / "absent" / "a.png", PICTURE)


def test_a_full_disk_names_the_picture_and_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    save_png(path, PICTURE)
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> int:
        self.open("wb").write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")  # of a write, which names no file

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.png'") as caught:
        save_png(path, PICTURE)
    assert reason(caught.value) == f"a disk is full, for {path}: make room (No space left on device)"
    monkeypatch.undo()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.jpg: pictures are written as PNG; let the name end in \.png"):
        save_png(tmp_path / "a.jpg", PICTURE)
