"""Every choice of `augmentation`, on pictures whose objects are told apart by their colour."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.groups import CONF
from maskrcnn.data.records import Record
from maskrcnn.data.regions import Regions, find_columns, paint_regions
from maskrcnn.data.resize import Sizing
from maskrcnn.data.transforms import Augmentation, Sample, make_sample, sample_seed
from maskrcnn.ops.paste import paste_bitmap
from tests.data.masks import columns_of, extent, record_of

CHOICES = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml"))
# Black ground, then a colour for each object: far apart, so that changes of light and blur do not mix them up.
COLOURS = np.array([(20, 20, 20), (220, 40, 40), (40, 200, 40), (50, 50, 230), (230, 220, 40), (40, 220, 220)])
FREE: dict[str, list[dict[str, Any]]] = {
    "affine": [{"_target_": "albumentations.Affine", "rotate": [-40, 40], "scale": [0.6, 1.4], "p": 1.0}],
    "crop": [{"_target_": "albumentations.RandomCrop", "height": 40, "width": 50, "pad_if_needed": True, "p": 1.0}],
}


class Pipeline(NamedTuple):
    resize: Sizing
    augmentation: Augmentation


class Painted(NamedTuple):
    image: np.ndarray
    record: Record
    masks: np.ndarray  # [n, h, w] uint8


def pipeline(choice: str) -> Pipeline:
    node = to_plain(compose([f"augmentation={choice if choice in CHOICES else 'none'}", "data=shapes"]))["data"]
    node["resize"].update(shortest=[60, 66, 72] if choice == "multiscale" else [60], longest=80)  # fewer pixels
    transforms = FREE.get(choice, node["transforms"])
    parts = (transforms, node["paste"], node["min_visible"])
    return Pipeline(build(node["resize"], []), Augmentation(*(build(part, []) for part in parts)))


PIPELINES = {choice: pipeline(choice) for choice in [*CHOICES, *FREE]}


def paint(height: int, width: int, count: int, seed: int, first_label: int = 1) -> Painted:
    """Ellipses of colours on black, never nearer to each other than 8 pixels; a label is its colour's position."""
    rng = default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = np.full((height, width, 3), COLOURS[0], np.uint8)
    near = np.zeros((height, width), bool)
    masks = []
    for _ in range(count):
        y, x, a, b = rng.uniform(0, height), rng.uniform(0, width), *rng.uniform(3, 20, size=2)
        mask = ((rows + 0.5 - y) / a) ** 2 + ((columns + 0.5 - x) / b) ** 2 <= 1
        if mask.any() and not (mask & near).any():
            image[mask] = COLOURS[first_label + len(masks)]
            masks.append(mask.astype(np.uint8))
            near |= cv2.dilate(masks[-1], np.ones((17, 17), np.uint8)) > 0
    stacked = np.array(masks, np.uint8).reshape(-1, height, width)
    return Painted(image, record_of(stacked, first_label), stacked)


def sample_of(choice: str, below: Painted, above: Painted, seed: int) -> Sample:
    resize, augmentation = PIPELINES[choice]
    sequence = sample_seed(seed, 0, 0)
    return make_sample(below.image, below.record, 0, sequence, resize, augmentation, lambda rng: above[:2])


def same(a: Sample, b: Sample) -> bool:
    names = ("image", "boxes", "labels", "masks", "key")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def colours_of(image: np.ndarray) -> np.ndarray:
    """The position in COLOURS that each pixel is of, however light or dark; what is grey is ground."""
    brightest = image.max(axis=2, keepdims=True).astype(np.float64)
    scaled = image * (COLOURS.max() / np.maximum(brightest, 1))
    nearest = 1 + np.argmin([((scaled - colour) ** 2).sum(axis=2) for colour in COLOURS[1:]], axis=0)
    return np.where(brightest[..., 0] - image.min(axis=2) < 40, 0, nearest)


def inner(mask: np.ndarray, margin: int) -> np.ndarray:
    """A mask [h, w] bool without its rim, which it has at the picture's border too."""
    kernel = np.ones((3, 3), np.uint8)
    return (
        cv2.erode(mask.astype(np.uint8), kernel, iterations=margin, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    )


def used_cells(sample: Sample) -> list[np.ndarray]:
    return [mask[:rows, :columns] for mask, (rows, columns) in zip(sample.masks, sample.mask_sizes, strict=True)]


SIDES, SEEDS = st.integers(60, 100), st.integers(0, 2**20)
PASTED = 4  # the first label of the picture to paste from
MARGIN = 4  # pixels; of pictures at most twice as large, the reach of interpolation
pictures = st.builds(paint, SIDES, SIDES, st.integers(0, 3), SEEDS)
others = st.builds(paint, SIDES, SIDES, st.integers(0, 2), SEEDS, st.just(PASTED))


@pytest.mark.parametrize("choice", [*CHOICES, *FREE])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(below=pictures, above=others, seed=SEEDS)
def test_objects_and_pictures_stay_in_step(choice: str, below: Painted, above: Painted, seed: int) -> None:
    sample = sample_of(choice, below, above, seed)
    height, width = sample.image.shape[:2]
    own = sample.labels < PASTED
    assert choice == "copy_paste" or own.all()
    assert len(set(sample.labels.tolist())) == len(sample.labels)
    x1, y1, x2, y2 = sample.boxes.T
    assert (x1 >= 0).all() and (y1 >= 0).all() and (x1 < x2).all() and (y1 < y2).all()
    assert (x2 <= width).all() and (y2 <= height).all()
    masks = used_cells(sample)
    for mask in masks:
        assert all(side.any() for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))  # touches all sides
    seen = colours_of(sample.image)
    found = np.zeros((height, width), np.int64)
    for label, box, mask in zip(sample.labels, sample.boxes, masks, strict=True):
        bitmap = paste_bitmap(mask / np.float32(255), box, (height, width), "continuous")
        assert (seen[inner(bitmap, MARGIN)] == label).all()
        found[bitmap] = label
    for colour in range(1, len(COLOURS)):  # and there is no object that is not among the labels
        assert (found[inner(seen == colour, MARGIN)] == colour).all()


@pytest.mark.parametrize("choice", [choice for choice in [*CHOICES, *FREE] if choice != "copy_paste"])
@settings(max_examples=10, deadline=None, derandomize=True)
@given(below=pictures, seed=SEEDS)
def test_boxes_are_extents_of_the_pixels_that_were_annotated(choice: str, below: Painted, seed: int) -> None:
    """The same with one mask at a time, and a whole bitmap for each."""
    sample = sample_of(choice, below, below, seed)
    resize, augmentation = PIPELINES[choice]
    moved = []
    for mask in [np.zeros(below.image.shape[:2], np.uint8), *below.masks]:  # so that there is a picture if no mask is
        rng = default_rng(sample_seed(seed, 0, 0))
        columns = find_columns(Regions(mask, 1, np.array([1]), np.array([0])))
        image, columns = augmentation(below.image, columns, rng)
        moved.append(paint_regions(columns).image)
    (left, top, right, bottom), size, _ = resize.view(*image.shape[:2], rng)
    expected = {}
    for label, mask in zip(below.record.objects.labels.tolist(), moved[1:], strict=True):
        seen = mask[top:bottom, left:right]
        if seen.any():
            expected[label] = extent(seen) * np.array([size[1] / (right - left), size[0] / (bottom - top)] * 2)
    assert sample.image.shape[:2] == size
    assert sample.labels.tolist() == list(expected)
    for label, box in zip(sample.labels.tolist(), sample.boxes, strict=True):
        np.testing.assert_allclose(box, expected[label], rtol=1e-6)


@pytest.mark.parametrize("choice", [*CHOICES, *FREE])
def test_samples_are_functions_of_their_seed(choice: str) -> None:
    below, above = paint(70, 90, 3, 1), paint(60, 80, 2, 2, PASTED)
    samples = [sample_of(choice, below, above, seed) for seed in range(8)]
    np.random.seed(0)  # noqa: NPY002
    for seed in (3, 0):  # in another order
        assert same(sample_of(choice, below, above, seed), samples[seed])
    different = len({sample.image.tobytes() for sample in samples})
    assert different >= {"none": 1, "flip": 2, "multiscale": 4}.get(choice, 5)
    resize, _ = PIPELINES[choice]
    plain = [make_sample(below.image, below.record, 0, sample_seed(seed, 0, 0), resize, None) for seed in (0, 1)]
    np.testing.assert_array_equal(plain[0].image, plain[1].image)  # nothing is random in validation
    assert len(plain[0].labels) == len(below.masks)


def test_a_drawn_picture_is_augmented_on_its_own() -> None:
    below, above = paint(90, 90, 0, 1), paint(90, 90, 2, 2, PASTED)
    samples = [sample_of("copy_paste", below, above, seed) for seed in range(30)]
    boxes = {tuple(box) for sample in samples for box, label in zip(sample.boxes, sample.labels) if label == PASTED}
    assert len(boxes) > 8  # flipped, scaled and cut each time anew


def test_overlapping_objects_are_pasted_whole() -> None:
    masks = np.zeros((2, 40, 40), np.uint8)
    masks[0, 5:30, 5:30] = masks[1, 20:35, 20:35] = 1
    assert np.bincount(paint_regions(columns_of(masks)).masks).tolist() == [2, 2]
    above = Painted(np.full((40, 40, 3), 200, np.uint8), record_of(masks, 101), masks)
    below = paint(40, 40, 0, 0)
    sample = next(s for s in (sample_of("copy_paste", below, above, seed) for seed in range(200)) if len(s.labels) == 2)
    for box, mask in zip(sample.boxes, used_cells(sample), strict=True):
        bitmap = paste_bitmap(mask / np.float32(255), box, sample.image.shape[:2], "continuous")
        assert (sample.image[inner(bitmap, MARGIN)] == 200).all()
