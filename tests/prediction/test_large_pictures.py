"""Memory on large pictures: a few times the picture's own, however many instances are found."""

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.ops.paste import Crop
from maskrcnn.prediction.outputs import Kind, make_output
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.prediction.sources import Frame
from maskrcnn.prediction.tiles import Tiling, find_in_tiles


def find_discs(pictures: list[np.ndarray]) -> list[list[Result]]:
    """A hand-made model: what is not black is one object for each part that hangs together."""
    found = []
    for picture in pictures:
        count, parts, boxes, _ = cv2.connectedComponentsWithStats(picture[..., 0])
        results = []
        for number in range(1, count):
            left, top, width, height = boxes[number, :4].tolist()
            mask = parts[top : top + height, left : left + width] == number
            (rle,) = encode_crops([Crop(mask, top, left)], picture.shape[:2])
            box = [float(left), float(top), float(width), float(height)]
            results.append(Result(image_id=0, category_id=0, bbox=box, score=0.9, segmentation=rle))
        found.append(results)
    return found


@pytest.mark.parametrize(
    ("side", "spacing", "kinds"),
    [(1500, 60, ["masks", "coco", "splash", "pictures"]), pytest.param(20_000, 500, ["masks"], marks=pytest.mark.slow)],
)
def test_memory_is_that_of_a_few_pictures(side: int, spacing: int, kinds: list[Kind], tmp_path: Path) -> None:
    picture = np.zeros((side, side, 3), np.uint8)
    for y in range(spacing // 2, side, spacing):
        for x in range(spacing // 2, side, spacing):
            cv2.circle(picture, (x, y), 20, (255, 200, 100), -1)
    tiling = Tiling(size=512, overlap=64)
    tracemalloc.start()
    windows = tiling.windows(side, side)
    results = find_in_tiles(find_discs, picture, windows, tiling.overlap, 4, lambda done, total: None)
    found = Prediction((side, side), ["disc"], results)
    frame = Frame(Path("a.png"), picture, Path("a"), "a.png", None, 0)
    for kind in kinds:
        output = make_output(kind, tmp_path, found.classes, [1], lambda name, picture: picture)
        output.write(frame, found)
        output.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    count = (side // spacing) ** 2
    assert len(results) == count and count * side * side > 50 * picture.nbytes  # bitmaps of the picture would not fit
    assert peak < 4 * picture.nbytes + 30e6
    labels = cv2.imread(str(tmp_path / "masks" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert labels.max() == count
    np.testing.assert_array_equal(labels > 0, picture[..., 0] > 0)
