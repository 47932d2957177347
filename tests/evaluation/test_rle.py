import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.rle import Rle, decode, encode_crops
from maskrcnn.ops.paste import Crop


def of_whole_picture(crop: Crop, size: tuple[int, int]) -> tuple[np.ndarray, dict]:
    bitmap = np.zeros(size, np.uint8)
    bitmap[crop.top : crop.top + crop.values.shape[0], crop.left : crop.left + crop.values.shape[1]] = crop.values
    rle = coco_mask.encode(np.asfortranarray(bitmap))
    return bitmap.astype(bool), {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def encode_crop(crop: Crop, size: tuple[int, int]) -> Rle:
    return encode_crops([crop], size)[0]


def rectangle(height: int, width: int, top: int, left: int) -> Crop:
    return Crop(np.ones((height, width), bool), top, left)


@pytest.mark.parametrize(
    "crop, size",
    [
        (rectangle(0, 0, 0, 0), (7, 9)),
        (rectangle(0, 4, 7, 2), (7, 9)),
        (rectangle(3, 0, 2, 9), (7, 9)),
        (Crop(np.zeros((3, 4), bool), 2, 2), (7, 9)),
        (rectangle(1, 1, 0, 0), (7, 9)),
        (rectangle(1, 1, 3, 4), (7, 9)),
        (rectangle(1, 1, 6, 8), (7, 9)),
        (rectangle(1, 1, 0, 0), (1, 1)),
        (rectangle(7, 9, 0, 0), (7, 9)),
        (rectangle(7, 3, 0, 4), (7, 9)),
        (rectangle(7, 3, 0, 6), (7, 9)),
        (rectangle(3, 9, 0, 0), (7, 9)),
        (rectangle(3, 9, 4, 0), (7, 9)),
        (rectangle(300, 400, 33, 44), (500, 600)),
    ],
    ids=[
        "empty picture corner", "no rows", "no columns", "nothing set", "first pixel", "inner pixel", "last pixel",
        "picture of one pixel", "full picture", "whole columns", "last columns", "first rows", "last rows", "long runs",
    ],
)  # fmt: skip
def test_edge_cases_equal_pycocotools(crop: Crop, size: tuple[int, int]) -> None:
    bitmap, expected = of_whole_picture(crop, size)
    rle = encode_crop(crop, size)
    assert rle == expected
    np.testing.assert_array_equal(decode(rle), bitmap)


@pytest.mark.parametrize("density", [0.1, 0.5, 0.95])
def test_random_crops_equal_pycocotools(density: float) -> None:
    random = np.random.default_rng(int(density * 100))
    for _ in range(200):
        height, width = random.integers(1, 12, 2).tolist()
        top, left = int(random.integers(0, height + 1)), int(random.integers(0, width + 1))
        h, w = int(random.integers(0, height - top + 1)), int(random.integers(0, width - left + 1))
        if random.random() < 0.5:  # Runs that go on over columns need crops of the full height.
            top, h = 0, height
        crop = Crop(random.random((h, w)) < density, top, left)
        bitmap, expected = of_whole_picture(crop, (height, width))
        assert encode_crop(crop, (height, width)) == expected
        np.testing.assert_array_equal(decode(encode_crop(crop, (height, width))), bitmap)


def test_runs_by_hand() -> None:
    # Columns of a 3 x 3 picture with the middle column and the pixel below it on the right: 3 off, 3 on, 2 off, 1 on.
    crop = Crop(np.array([[1, 0], [1, 0], [1, 1]], bool), 0, 1)
    expected = coco_mask.frPyObjects({"size": [3, 3], "counts": [3, 3, 2, 1]}, 3, 3)["counts"].decode()
    assert encode_crop(crop, (3, 3)) == {"size": [3, 3], "counts": expected}


def test_many_at_once_are_each_as_alone() -> None:
    random = np.random.default_rng(0)
    size = (300, 40)
    crops = []
    for _ in range(60):
        top, left = int(random.integers(0, 300)), int(random.integers(0, 41))
        values = random.random((int(random.integers(0, 301 - top)), int(random.integers(0, 41 - left)))) < 0.97
        crops.append(Crop(values, top, left))
    crops += [rectangle(300, 40, 0, 0), rectangle(300, 5, 0, 35), rectangle(0, 0, 0, 0)]
    assert encode_crops(crops, size) == [of_whole_picture(crop, size)[1] for crop in crops]
    assert encode_crops([], size) == []


def test_the_longest_runs_equal_pycocotools() -> None:
    height, width = 20_000, 20_000
    rle = encode_crop(Crop(np.array([[True]]), height - 2, width - 1), (height, width))
    runs = [height * width - 2, 1, 1]
    assert rle["counts"].encode() == coco_mask.frPyObjects({"size": [height, width], "counts": runs}, 1, 1)["counts"]
