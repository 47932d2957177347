from pathlib import Path

import numpy as np
import pytest

from maskrcnn.ops.paste import Convention, paste_bitmap, paste_crop, paste_probabilities

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "torchvision_ops.npz")
SIZE = (int(GOLDEN["paste_image_hw"][0]), int(GOLDEN["paste_image_hw"][1]))


def whole_picture(mask: np.ndarray, box: np.ndarray, size: tuple[int, int], convention: Convention) -> np.ndarray:
    values, top, left = paste_probabilities(mask, box, size, convention)
    picture = np.zeros(size)
    picture[top : top + values.shape[0], left : left + values.shape[1]] = values
    return picture


def bilinear(mask: np.ndarray, v: float, u: float) -> float:
    """Bilinear interpolation at row v, column u in units of cells, centres at whole numbers, zero outside."""
    total = 0.0
    for row in (int(np.floor(v)), int(np.floor(v)) + 1):
        for column in (int(np.floor(u)), int(np.floor(u)) + 1):
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
                total += (1 - abs(v - row)) * (1 - abs(u - column)) * float(mask[row, column])
    return total


def naive_continuous(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    x1, y1, x2, y2 = (float(edge) for edge in box)
    picture = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            v = (y + 0.5 - y1) / (y2 - y1) * mask.shape[0] - 0.5
            u = (x + 0.5 - x1) / (x2 - x1) * mask.shape[1] - 0.5
            picture[y, x] = bilinear(mask, v, u)
    return picture


def naive_integer(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """torchvision's steps one by one: pad, grow, truncate, resize with clamped edges, copy what is in the picture."""
    padded = np.pad(mask, 1)
    cells = padded.shape[0]
    x1, y1, x2, y2 = (float(edge) for edge in box)
    half_w, half_h = (x2 - x1) / 2 * cells / (cells - 2), (y2 - y1) / 2 * cells / (cells - 2)
    left, right = int((x1 + x2) / 2 - half_w), int((x1 + x2) / 2 + half_w)
    top, bottom = int((y1 + y2) / 2 - half_h), int((y1 + y2) / 2 + half_h)
    w, h = max(right - left + 1, 1), max(bottom - top + 1, 1)
    picture = np.zeros(size)
    for i in range(h):
        for j in range(w):
            if 0 <= top + i < size[0] and 0 <= left + j < size[1]:
                v = min(max((i + 0.5) * cells / h - 0.5, 0), cells - 1)
                u = min(max((j + 0.5) * cells / w - 0.5, 0), cells - 1)
                picture[top + i, left + j] = bilinear(padded, v, u)
    return picture


def test_integer_convention_equals_torchvision() -> None:
    for mask, box, expected, area in zip(
        GOLDEN["paste_masks"], GOLDEN["paste_boxes"], GOLDEN["paste_probs"], GOLDEN["paste_area_gt_half"], strict=True
    ):
        # The golden probabilities are kept in half precision: 2^-12 is half a step of it just below 1.
        np.testing.assert_allclose(whole_picture(mask, box, SIZE, "integer"), expected, rtol=0, atol=2**-12 + 1e-6)
        assert paste_bitmap(mask, box, SIZE, "integer").sum() == area


def test_continuous_convention_equals_detectron2() -> None:
    count = len(GOLDEN["paste_boxes"])
    expected = np.unpackbits(GOLDEN["paste_continuous_ge_half_packed"], count=count * SIZE[0] * SIZE[1]).reshape(
        count, *SIZE
    )
    for mask, box, bitmap, area in zip(
        GOLDEN["paste_masks"], GOLDEN["paste_boxes"], expected, GOLDEN["paste_continuous_area"], strict=True
    ):
        pasted = paste_bitmap(mask, box, SIZE, "continuous")
        np.testing.assert_array_equal(pasted, bitmap)
        assert pasted.sum() == area


@pytest.mark.parametrize("naive, convention", [(naive_continuous, "continuous"), (naive_integer, "integer")])
def test_equals_naive_loop(naive, convention: Convention) -> None:
    random = np.random.default_rng(0)
    for _ in range(40):
        mask = random.random((5, 5), dtype=np.float32)
        corner, extent = random.uniform(-8, 24, 2), random.uniform(0.3, 30, 2)
        box = np.concatenate([corner, corner + extent]).astype(np.float32)
        pasted = whole_picture(mask, box, (18, 25), convention)
        np.testing.assert_allclose(pasted, naive(mask, box, (18, 25)), rtol=0, atol=1e-5)


def test_continuous_case_by_hand() -> None:
    # Two cells of two pixels each way. The box's pixels lie at -0.25, 0.25, 0.75 and 1.25 cells, so the outermost take
    # 3/4 of their cell, the inner ones 3/4 of the near and 1/4 of the far one, the pixels beside the box 1/4 of theirs.
    mask = np.array([[1, 0], [0, 0]], np.float32)
    values, top, left = paste_probabilities(mask, np.array([2, 3, 6, 7], np.float32), (20, 20), "continuous")
    profile = np.array([1, 3, 3, 1, 0, 0]) / 4
    assert (top, left) == (2, 1)
    np.testing.assert_array_equal(values, np.outer(profile, profile))
    crop = paste_crop(mask, np.array([2, 3, 6, 7], np.float32), (20, 20), "continuous")
    np.testing.assert_array_equal(
        np.argwhere(crop.values) + np.array([crop.top, crop.left]), [[3, 2], [3, 3], [4, 2], [4, 3]]
    )


def test_thresholds_differ_at_one_half() -> None:
    mask = np.full((4, 4), 0.5, np.float32)
    box = np.array([4, 4, 12, 12], np.float32)
    assert paste_bitmap(mask, box, (16, 16), "continuous").sum() > 0
    assert paste_bitmap(mask, box, (16, 16), "integer").sum() == 0


def test_full_mask_fills_its_box_exactly_when_continuous() -> None:
    expected = np.zeros((30, 40), bool)
    expected[4:17, 7:29] = True
    pasted = paste_bitmap(np.ones((28, 28), np.float32), np.array([7, 4, 29, 17], np.float32), (30, 40), "continuous")
    np.testing.assert_array_equal(pasted, expected)


@pytest.mark.parametrize("convention", ["continuous", "integer"])
@pytest.mark.parametrize("box", [[-30, -30, -20, -20], [60, 5, 80, 15], [5, 70, 15, 90]])
def test_box_outside_the_picture_reaches_nothing(box: list[float], convention: Convention) -> None:
    mask, place = np.ones((28, 28), np.float32), np.array(box, np.float32)
    crop = paste_crop(mask, place, (50, 40), convention)
    assert crop.values.size == 0
    assert 0 <= crop.top <= 50 and 0 <= crop.left <= 40
    np.testing.assert_array_equal(paste_bitmap(mask, place, (50, 40), convention), np.zeros((50, 40), bool))


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [5, 5, 9, 5], [9, 5, 5, 9]])
def test_box_without_area_is_empty_when_continuous(box: list[float]) -> None:
    crop = paste_crop(np.ones((28, 28), np.float32), np.array(box, np.float32), (50, 40), "continuous")
    assert crop.values.size == 0


# A cell is 1 x 2 pixels, and interpolation reaches half a cell beyond the frame; the integer frame is wider by a pixel.
@pytest.mark.parametrize(
    ("convention", "rows", "columns"), [("continuous", (299, 357), (499, 529)), ("integer", (299, 358), (500, 529))]
)
def test_crop_holds_what_the_mask_can_reach(
    convention: Convention, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    values, top, left = paste_probabilities(
        np.ones((28, 28), np.float32), np.array([500, 300, 528, 356], np.float32), (4000, 4000), convention
    )
    assert (top, top + values.shape[0]) == rows and (left, left + values.shape[1]) == columns
    assert values[2:-2, 1:-1] == pytest.approx(1)
