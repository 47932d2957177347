import numpy as np
import pytest

from maskrcnn.ops.paste import Crop
from maskrcnn.visualize.instances import FILL, PALETTE, Instances, draw_instances, zoom_of
from maskrcnn.visualize.text import text_size

CLASSES = ["disc", "bar"]
GREY = np.array([100, 110, 120], np.uint8)


def grey(height: int, width: int) -> np.ndarray:
    return np.tile(GREY, (height, width, 1))


def instances(boxes: list, scores: list | None = None, masks: list | None = None) -> Instances:
    return Instances(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.arange(len(boxes)) % 2,
        scores=None if scores is None else np.array(scores),
        masks=masks,
    )


def rectangle(height: int, width: int, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def tint(under: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.round((1 - FILL) * under + FILL * np.array(colour)).astype(np.uint8)


def covers(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(colour)).all(-1)


@pytest.mark.parametrize(
    "size, zoom", [((192, 256), 3), ((600, 400), 1), ((400, 599), 2), ((64, 10), 10), ((900, 9), 1)]
)
def test_zoom_brings_the_longer_side_to_600_pixels(size: tuple[int, int], zoom: int) -> None:
    assert zoom_of(*size) == zoom


def test_picture_without_objects_is_only_enlarged() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (192, 256, 3), dtype=np.uint8)
    before = picture.copy()
    drawn = draw_instances(picture, instances([], [], []), CLASSES)
    np.testing.assert_array_equal(drawn, np.kron(picture, np.ones((3, 3, 1), np.uint8)))
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("channels, shown", [(1, [0, 0, 0]), (2, [0, 0, 0]), (4, [0, 1, 2]), (5, [0, 1, 2])])
def test_other_channels_than_three_are_shown_in_part(channels: int, shown: list[int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 600, channels), dtype=np.uint8)
    np.testing.assert_array_equal(draw_instances(picture, instances([]), CLASSES), picture[..., shown])


def test_mask_is_tinted_inside_rimmed_at_its_edge_and_nothing_changes_outside() -> None:
    # 620 x 640: no zoom, lines of 1 pixel, rims of 2. The box is larger than the mask, to be told from it.
    mask = rectangle(620, 640, 220, 230, 300, 330)
    drawn = draw_instances(grey(620, 640), instances([[200, 210, 320, 350]], masks=[mask]), CLASSES)
    colour = PALETTE[0]
    core = rectangle(620, 640, 222, 232, 298, 328)
    assert (drawn[core] == tint(GREY, colour)).all()
    assert (drawn[mask & ~core] == colour).all()
    assert (drawn[210, 200:320] == colour).all() and (drawn[349, 200:320] == colour).all()
    assert (drawn[210:350, 200] == colour).all() and (drawn[210:350, 319] == colour).all()
    inside = rectangle(620, 640, 201, 211, 319, 349)
    assert (drawn[inside & ~mask] == GREY).all()
    width, height = text_size("disc", 1)
    label = rectangle(620, 640, 200, 210 - height, 200 + width, 210)
    assert covers(drawn, colour)[label].mean() > 0.5
    assert (drawn[~label & ~rectangle(620, 640, 200, 210, 320, 350)] == GREY).all()


def test_an_object_cut_by_the_border_has_no_rim_there() -> None:
    mask = rectangle(620, 640, 540, 300, 640, 500)
    drawn = draw_instances(grey(620, 640), instances([[500, 280, 640, 540]], masks=[mask]), CLASSES)
    assert (drawn[350:450, 636:639] == tint(GREY, PALETTE[0])).all()
    assert (drawn[350:450, 540:542] == PALETTE[0]).all()


def test_zoomed_mask_keeps_its_place() -> None:
    mask = rectangle(200, 200, 50, 60, 90, 100)
    drawn = draw_instances(grey(200, 200), instances([[50, 60, 90, 100]], masks=[mask]), CLASSES)
    assert drawn.shape == (600, 600, 3)
    changed = (drawn != GREY).any(-1)
    assert changed[180:300, 150:270].all()
    changed[180:300, 150:270] = False
    width, height = text_size("disc", 1)
    np.testing.assert_array_equal(changed, rectangle(600, 600, 150, 180 - height, 150 + width, 180))


def test_first_object_lies_on_top() -> None:
    masks = [rectangle(620, 640, 200, 200, 300, 300), rectangle(620, 640, 250, 200, 350, 300)]
    drawn = draw_instances(
        grey(620, 640), instances([[200, 200, 300, 300], [250, 200, 350, 300]], [0.9, 0.8], masks), CLASSES
    )
    assert (drawn[250, 299] == PALETTE[0]).all()
    both = tint(tint(GREY, PALETTE[1]), PALETTE[0])
    assert (drawn[250, 270] == both).all()


def test_each_object_has_its_own_colour() -> None:
    assert len(set(PALETTE)) == len(PALETTE) == 7
    boxes = [[20 + 70 * i, 300, 60 + 70 * i, 400] for i in range(8)]
    drawn = draw_instances(grey(620, 640), instances(boxes), CLASSES)
    for i, (x1, y1, _, _) in enumerate(boxes):
        assert tuple(drawn[y1 + 50, x1]) == PALETTE[i % 7]


def test_score_is_written_and_lengthens_the_text() -> None:
    drawn = draw_instances(grey(620, 640), instances([[100, 200, 400, 400]], [0.876]), CLASSES)
    width, height = text_size("disc 0.88", 1)
    assert width > text_size("disc", 1)[0]
    row = covers(drawn, PALETTE[0])[200 - height]
    np.testing.assert_array_equal(np.flatnonzero(row), np.arange(100, 100 + width))


@pytest.mark.parametrize(
    "box, place",
    [
        ([0, 0, 300, 200], "below"),
        ([0, 300, 300, 620], "above"),
        ([500, 0, 640, 620], "inside"),
        ([635, 300, 640, 320], "pushed left"),
        ([-50, -40, 700, 700], "inside"),
    ],
)
def test_text_stays_inside_the_picture(box: list[int], place: str) -> None:
    drawn = draw_instances(grey(620, 640), instances([box]), CLASSES)
    width, height = text_size("disc", 1)
    left = min(max(box[0], 0), 640 - width)
    top = {"below": box[3], "inside": max(box[1], 0)}.get(place, box[1] - height)
    label = drawn[top : top + height, left : left + width]
    assert label.shape[:2] == (height, width)
    assert covers(label, PALETTE[0]).mean() > 0.5
    assert (label == 0).all(-1).any()  # black strokes


def test_long_text_is_shortened_to_the_picture() -> None:
    drawn = draw_instances(
        grey(600, 300), instances([[100, 300, 200, 400]]), ["a class name that is far too long " * 3]
    )
    _, height = text_size("A", 1)
    row = covers(drawn, PALETTE[0])[300 - height]
    assert 280 < row.sum() <= 300


def test_a_text_gives_way_to_one_before_it() -> None:
    boxes = [[100, 200, 400, 400]] * 4
    drawn = draw_instances(grey(620, 640), instances(boxes), CLASSES)
    _, height = text_size("A", 1)
    first_column = drawn[:, 101]
    assert tuple(first_column[200 - height]) == PALETTE[0]
    assert tuple(first_column[400]) == PALETTE[1]
    assert tuple(first_column[201]) == PALETTE[2]
    assert not covers(drawn, PALETTE[3]).any()


def test_a_text_larger_than_its_object_covers_no_other() -> None:
    small, neighbours = [300, 300, 310, 310], [[300, 280, 330, 299], [300, 311, 330, 330]]
    alone = draw_instances(grey(620, 640), instances([small]), CLASSES)
    crowded = draw_instances(grey(620, 640), instances([small, *neighbours]), CLASSES)
    _, height = text_size("A", 1)
    assert covers(alone, PALETTE[0])[:300].sum() > 5 * height
    assert not covers(crowded, PALETTE[0])[:300].any() and not covers(crowded, PALETTE[0])[310:].any()


def test_lines_and_texts_grow_with_large_pictures() -> None:
    drawn = draw_instances(grey(1300, 2500), instances([[1000, 500, 1500, 900]]), CLASSES)
    assert text_size("disc", 3)[1] > 2 * text_size("disc", 1)[1]
    row = covers(drawn, PALETTE[0])[700]
    assert row[990:1010].sum() == 3 and row.sum() == 6


@pytest.mark.parametrize("size", [(300, 400), (1300, 700)])
def test_crops_are_drawn_as_the_bitmaps_they_were_cut_from(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    windows = [(0, 0, 90, 80), (250, 0, 299, 31), (100, 150, 180, 260), (110, 160, 111, 161)]  # two at borders
    values = [rng.random((bottom - top, right - left)) < 0.9 for top, left, bottom, right in windows]
    masks = [np.zeros(size, bool) for _ in windows]
    for mask, value, (top, left, bottom, right) in zip(masks, values, windows):
        mask[top:bottom, left:right] = value
    boxes = np.array([(left, top, right, bottom) for top, left, bottom, right in windows])
    crops = [Crop(value, top, left) for value, (top, left, _, _) in zip(values, windows)]
    drawn = [
        draw_instances(picture, Instances(boxes, np.array([0, 1, 0, 1]), None, m), CLASSES) for m in (masks, crops)
    ]
    np.testing.assert_array_equal(*drawn)
