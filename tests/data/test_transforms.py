from typing import Any

import albumentations
import cv2
import numpy as np
import pytest
import torch
from numpy.random import default_rng

from maskrcnn.data.cells import crop_masks as crop_cells
from maskrcnn.data.columns import Columns, find_extents
from maskrcnn.data.copy_paste import CopyPaste
from maskrcnn.data.regions import Regions, find_columns, paint_regions
from maskrcnn.data.resize import Resize, View, prepare_picture, resize_picture
from maskrcnn.data.transforms import Augmentation, Sample, make_sample, sample_seed
from maskrcnn.ops.masks import crop_masks
from tests.data.masks import columns_of, extent, record_of

HEIGHT, WIDTH = 48, 72
SAME = Resize(shortest=[HEIGHT], longest=WIDTH)


def random_masks(count: int, seed: int) -> np.ndarray:
    """Ellipses [count, HEIGHT, WIDTH] uint8, some overlapping."""
    rng = default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    y, x = rng.integers(HEIGHT, size=(count, 1, 1)), rng.integers(WIDTH, size=(count, 1, 1))
    a, b = rng.uniform(2, 14, size=(2, count, 1, 1))
    return (((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 <= 1).astype(np.uint8)


def picture(seed: int) -> np.ndarray:
    return default_rng(seed).integers(256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)


def make(masks: np.ndarray, transforms: list[Any] | None, epoch: int = 0, resize: Resize = SAME) -> Sample:
    augmentation = None if transforms is None else Augmentation(transforms, None, 0.0)
    return make_sample(picture(0), record_of(masks), 4, sample_seed(7, epoch, 4), resize, augmentation)


def same(a: Sample, b: Sample) -> bool:
    names = ("image", "boxes", "labels", "masks", "mask_sizes")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names) and a.key == b.key


def whole(mask: np.ndarray) -> Columns:
    return find_columns(Regions(mask, 1, np.array([1]), np.array([0])))


def dense(columns: Columns) -> np.ndarray:
    """The masks [n, height, width] uint8."""
    masks = np.zeros(columns[:3], np.uint8)
    for mask, x, y1, y2 in zip(*columns[3:], strict=True):
        masks[mask, y1:y2, x] = 1
    return masks


def crop(mask: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """A mask as it travels, and how many of its rows and columns are in use."""
    (cells,) = crop_cells(whole(mask), find_extents(whole(mask)))
    x1, y1, x2, y2 = extent(mask)
    assert cells.shape == (min(y2 - y1, 112), min(x2 - x1, 112))
    return np.pad(cells, ((0, 112 - cells.shape[0]), (0, 112 - cells.shape[1]))), cells.shape


def stretched(mask: np.ndarray) -> np.ndarray:
    """The coverage 0..255 that the mask head learns of each of 112 x 112 cells of a mask's own box."""
    out, used = crop(mask)
    box = torch.tensor([[0.0, 0, 1, 1]])
    cells = crop_masks(torch.from_numpy(out)[None].float(), torch.tensor([used]), box, box, 112, 1)
    return cells[0].numpy()


def naive_crop(mask: np.ndarray) -> np.ndarray:
    """Coverage of each of the 112 x 112 cells of the mask's box: means along a side of more than 112 pixels, linear
    interpolation between the centres of the pixels along a shorter one; in loops.
    """
    x1, y1, x2, y2 = extent(mask)
    crop = mask[y1:y2, x1:x2].astype(np.float64)

    def along(values: np.ndarray) -> np.ndarray:
        """Resamples the first axis."""
        count, result = len(values), []
        for cell in range(112):
            if count > 112:
                start, end = cell * count / 112, (cell + 1) * count / 112
                shares = [max(min(end, i + 1) - max(start, i), 0) for i in range(count)]
            else:
                centre = np.clip((cell + 0.5) * count / 112 - 0.5, 0, count - 1)
                shares = [max(1 - abs(centre - i), 0) for i in range(count)]
            result.append(np.tensordot(np.array(shares) / sum(shares), values, axes=1))
        return np.array(result)

    return 255 * along(along(crop).T).T


@pytest.mark.parametrize("size", [(9, 14), (112, 112), (1, 1), (1, 30), (150, 200), (40, 260), (300, 5)])
def test_crops_are_coverage(size: tuple[int, int]) -> None:
    mask = (cv2.GaussianBlur(default_rng(1).random(size), (0, 0), 2) > 0.5).astype(np.uint8)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = 1, 1, 1, 1
    np.testing.assert_allclose(stretched(mask), naive_crop(mask), atol=0.51 if max(size) > 112 else 1e-3)


def test_crop_of_a_half_by_eye() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:, :2] = mask[3] = 1
    out, used = crop(mask)
    assert used == (4, 4)
    np.testing.assert_array_equal(out[:4, :4], 255 * mask)
    assert out.sum() == 255 * mask.sum()
    cells = stretched(mask)
    np.testing.assert_allclose(cells[:, :42], 255, atol=0.01)  # up to the centre of the second column's pixels
    assert (cells[:70, 70:] == 0).all()
    np.testing.assert_allclose(cells[98:], 255, atol=0.01)
    # 255 * (2.5 - 55.5 / 28): linear from the centre of the second column to the third's
    np.testing.assert_allclose(cells[0, 55:57], [132.05, 122.95], atol=0.01)


@pytest.mark.parametrize(
    "transform, move",
    [
        (albumentations.HorizontalFlip(p=1), lambda a: a[:, ::-1]),
        (albumentations.VerticalFlip(p=1), lambda a: a[::-1]),
        (albumentations.Transpose(p=1), lambda a: a.swapaxes(0, 1)),
        (albumentations.Crop(x_min=10, y_min=5, x_max=60, y_max=40, p=1), lambda a: a[5:40, 10:60]),
        (albumentations.NoOp(), lambda a: a),
    ],
)
def test_masks_move_with_the_picture(transform: Any, move: Any) -> None:
    masks = random_masks(12, 2)
    resize = Resize(shortest=[min(move(masks[0]).shape)], longest=WIDTH)
    sample = make(masks, [transform], resize=resize)
    np.testing.assert_array_equal(sample.image, move(picture(0)))
    moved = [(label, move(mask)) for label, mask in enumerate(masks) if move(mask).any()]
    assert sample.labels.tolist() == [label for label, _ in moved]
    assert sample.boxes.tolist() == [extent(mask) for _, mask in moved]
    for got, used, (_, mask) in zip(sample.masks, sample.mask_sizes.tolist(), moved, strict=True):
        expected, size = crop(np.ascontiguousarray(mask))
        np.testing.assert_array_equal(got, expected[: got.shape[0], : got.shape[1]])
        assert tuple(used) == size


def test_regions_warp_as_single_masks_do() -> None:
    masks = random_masks(12, 3)
    columns = columns_of(masks)
    assert np.bincount(paint_regions(columns).masks).max() > 2
    transforms = [albumentations.Affine(rotate=(-40, 40), scale=(0.7, 1.3), shear=(-10, 10), p=1)]
    _, warped = Augmentation(transforms, None, 0.0)(picture(0), columns, default_rng(9))
    for mask, found in zip(masks, dense(warped), strict=True):
        _, alone = Augmentation(transforms, None, 0.0)(picture(0), whole(mask), default_rng(9))
        (expected,) = dense(alone)
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(expected, mask)


def test_flipping_twice_changes_nothing() -> None:
    masks = random_masks(8, 4)
    flip = albumentations.HorizontalFlip(p=1)
    assert same(make(masks, [flip, flip]), make(masks, []))
    assert not same(make(masks, [flip]), make(masks, []))


def test_no_transforms_are_validation() -> None:
    masks = random_masks(8, 4)
    assert same(make(masks, []), make(masks, None))


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
@pytest.mark.parametrize("shortest, longest", [(HEIGHT, WIDTH), (31, 1000), (61, 1000), (33, 40)])
def test_any_number_of_channels_moves_and_shrinks_as_each_alone(channels: int, shortest: int, longest: int) -> None:
    image = default_rng(0).integers(256, size=(HEIGHT, WIDTH, channels), dtype=np.uint8)
    augmentation = Augmentation([albumentations.HorizontalFlip(p=1), albumentations.D4(p=1)], None, 0.0)
    resize = Resize(shortest=[shortest], longest=longest)

    def prepare(pixels: np.ndarray) -> np.ndarray:
        masks = random_masks(3, 0)
        return make_sample(pixels, record_of(masks), 4, sample_seed(7, 2, 4), resize, augmentation).image

    together = prepare(image)
    alone = [prepare(np.ascontiguousarray(image[..., i : i + 1])) for i in range(channels)]
    # OpenCV's sums over areas round otherwise for two and four channels than for one: by 1 at most.
    np.testing.assert_allclose(together.astype(int), np.concatenate(alone, axis=2).astype(int), rtol=0, atol=1)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_transforms_of_colours_are_refused_without_colours(channels: int) -> None:
    image = np.zeros((HEIGHT, WIDTH, channels), np.uint8)
    with pytest.raises(
        ValueError,
        match=rf"data\.transforms cannot change a picture of 48 x 72 pixels and data\.channels={channels} "
        r"\(\w+: ColorJitter .*\): remove what needs",
    ):
        Augmentation([albumentations.ColorJitter(p=1)], None, 0.0)(image, whole(image[..., 0]), default_rng(0))


def test_transforms_that_do_not_fit_a_picture_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"^data\.transforms cannot change a picture of 48 x 72 pixels and data\.channels=3 \(CropSizeError: Crop "
        r"size .*\): change or remove the transform that says so$",
    ):
        make(random_masks(2, 0), [albumentations.RandomCrop(height=50, width=50)])


def test_a_quarter_turn() -> None:
    masks = random_masks(6, 5)
    turn = albumentations.D4(p=1)
    turned = {make(masks, [turn], epoch).image.tobytes() for epoch in range(60)}
    sides = picture(0), picture(0)[:, ::-1]
    assert turned == {np.rot90(side, quarters).tobytes() for side in sides for quarters in range(4)}


def test_transforms_draw_independently() -> None:
    flips = [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)]
    images = [make(random_masks(1, 6), flips, epoch).image for epoch in range(400)]
    original = picture(0)
    ways = [original, original[:, ::-1], original[::-1], original[::-1, ::-1]]
    counts = [sum(np.array_equal(image, way) for image in images) for way in ways]
    assert sum(counts) == 400
    assert min(counts) > 70  # of 100; with one seed for all transforms two of the four never occur


def test_random_only_in_seed_epoch_and_index() -> None:
    masks = random_masks(5, 7)
    transforms = [albumentations.ColorJitter(p=1), albumentations.Affine(rotate=(-20, 20), p=1)]
    first = make(masks, transforms, epoch=3)
    np.random.seed(0)  # noqa: NPY002
    assert same(make(masks, transforms, epoch=3), first)
    assert not same(make(masks, transforms, epoch=2), first)


def test_keys_differ() -> None:
    seeds = [(seed, epoch, index) for seed in range(3) for epoch in range(3) for index in range(50)]
    samples = [
        make_sample(picture(0), record_of(random_masks(0, 0)), index, sample_seed(seed, epoch, index), SAME, None)
        for seed, epoch, index in seeds
    ]
    keys = {sample.key for sample in samples}
    assert len(keys) == len(seeds)
    assert all(0 <= key < 2**32 for key in keys)
    assert samples[0].key == 2968811710  # numpy's SeedSequence is stable: NEP 19


def test_no_objects() -> None:
    sample = make(random_masks(0, 0), [albumentations.HorizontalFlip(p=1)])
    assert sample.boxes.shape == (0, 4)
    assert sample.masks.shape == (0, 0, 0)
    assert sample.mask_sizes.shape == (0, 2)
    assert sample.labels.shape == (0,)
    assert sample.labels.dtype == np.int64


def test_transforms_must_keep_bytes() -> None:
    with pytest.raises(
        ValueError, match=r"data\.transforms turned a picture into float32 of shape .*remove what normal"
    ):
        make(random_masks(1, 0), [albumentations.Normalize()])
    with pytest.raises(ValueError, match=r"into uint8 of shape \(48, 72\)"):
        make(random_masks(1, 0), [albumentations.ToGray(num_output_channels=1, p=1)])


@pytest.mark.parametrize(
    "size, shortest, expected",
    [
        ((480, 640), 800, (800, 1067)),
        ((640, 480), 800, (1067, 800)),
        ((400, 1000), 800, (533, 1333)),  # the longer side decides
        ((192, 256), 192, (192, 256)),
        ((3000, 4), 800, (1333, 2)),
        ((5000, 1), 800, (1333, 1)),  # never nothing
    ],
)
def test_sizes_of_detectron2(size: tuple[int, int], shortest: int, expected: tuple[int, int]) -> None:
    assert Resize(shortest=[800], longest=1333).size(*size, shortest) == expected


def test_resize_scales_boxes_and_keeps_masks() -> None:
    masks = random_masks(10, 8)
    plain = make(masks, [])
    for shortest in (24, 33, 96, 144):
        sample = make(masks, [], resize=Resize(shortest=[shortest], longest=10000))
        height, width = sample.image.shape[:2]
        assert height == shortest
        scale = np.array([width / WIDTH, height / HEIGHT] * 2)
        np.testing.assert_allclose(sample.boxes, plain.boxes * scale, rtol=1e-6)
        np.testing.assert_array_equal(sample.masks, plain.masks)
        np.testing.assert_array_equal(sample.mask_sizes, plain.mask_sizes)
        assert sample.original_size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_resized_picture_lies_under_its_boxes(factor: float) -> None:
    mask = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    mask[0, 12:30, 20:44] = 1
    image = np.repeat(mask[0][..., None] * np.uint8(255), 3, axis=2)
    resize = Resize(shortest=[int(HEIGHT * factor)], longest=10000)
    sample = make_sample(image, record_of(mask), 0, sample_seed(0, 0, 0), resize, None)
    x1, y1, x2, y2 = (sample.boxes[0]).tolist()
    assert [x1, y1, x2, y2] == [20 * factor, 12 * factor, 44 * factor, 30 * factor]
    coverage = sample.image[..., 0] / 255
    rows, columns = np.mgrid[: coverage.shape[0], : coverage.shape[1]] + 0.5
    assert np.isclose((coverage * columns).sum() / coverage.sum(), (x1 + x2) / 2, atol=0.01)
    assert np.isclose((coverage * rows).sum() / coverage.sum(), (y1 + y2) / 2, atol=0.01)
    assert np.isclose(coverage.sum(), (x2 - x1) * (y2 - y1), rtol=0.01)


def test_pixels_of_a_resized_picture() -> None:
    image = picture(3)
    half = resize_picture(image, (HEIGHT // 2, WIDTH // 2))
    means = image.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(half, means, atol=0.5)
    double = resize_picture(image, (HEIGHT * 2, WIDTH * 2))
    # A pixel of the doubled picture lies a quarter beside the centre of its own, towards a neighbour.
    expected = 0.5625 * image[4, 5] + 0.1875 * image[4, 6] + 0.1875 * image[5, 5] + 0.0625 * image[5, 6]
    np.testing.assert_allclose(double[9, 11], expected, atol=1)


def test_training_draws_sizes_and_validation_takes_the_last() -> None:
    resize = Resize(shortest=[40, 48, 56], longest=1000)
    masks = random_masks(2, 9)
    heights = [make(masks, [], epoch, resize).image.shape[0] for epoch in range(60)]
    assert set(heights) == {40, 48, 56}
    assert max(map(heights.count, set(heights))) < 40
    assert [make(masks, None, epoch, resize).image.shape[0] for epoch in range(5)] == [56] * 5


def test_bare_pictures_are_prepared_as_in_validation() -> None:
    resize = Resize(shortest=[40, 56], longest=1000)
    prepared = prepare_picture(picture(0), resize)
    np.testing.assert_array_equal(prepared, make(random_masks(2, 9), None, resize=resize).image)


def test_same_size_is_not_resampled() -> None:
    image = picture(1)
    assert resize_picture(image, SAME.view(HEIGHT, WIDTH, None).size) is image


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"resize\.shortest is \[800\], longest 700; give lengths from 1 to longest"):
        Resize(shortest=[800], longest=700)
    with pytest.raises(ValueError, match=r"resize\.shortest is \[\]"):
        Resize(shortest=[], longest=700)


@pytest.mark.parametrize(
    "transform",
    [
        albumentations.Affine(mask_interpolation=cv2.INTER_LINEAR),
        albumentations.OneOf(
            [albumentations.NoOp(), albumentations.ElasticTransform(mask_interpolation=cv2.INTER_AREA)]
        ),
    ],
)
def test_masks_must_not_be_blended(transform: Any) -> None:
    with pytest.raises(
        ValueError, match=r"data\.transforms: (Affine|ElasticTransform) has mask_interpolation [13], which"
    ):
        Augmentation([transform], None, 0.0)


# Albumentations' transforms that resample masks, as they do by default.
RESAMPLING = [
    albumentations.Affine(rotate=(-30, 30), scale=(0.7, 1.3), p=1),
    albumentations.CropAndPad(px=(-9, 9), p=1),
    albumentations.ElasticTransform(alpha=60, sigma=6, p=1),
    albumentations.GridDistortion(p=1),
    albumentations.GridElasticDeform(num_grid_xy=(4, 4), magnitude=5, p=1),
    albumentations.OpticalDistortion(p=1),
    albumentations.Perspective(p=1),
    albumentations.RandomResizedCrop(size=(40, 64), p=1),
    albumentations.RandomScale(p=1),
    albumentations.RandomSizedCrop(min_max_height=(20, 40), size=(40, 64), p=1),
    albumentations.Resize(height=40, width=60, p=1),
    albumentations.Rotate(p=1),
    albumentations.SafeRotate(p=1),
    albumentations.ThinPlateSpline(p=1),
]


@pytest.mark.parametrize("transform", RESAMPLING, ids=lambda transform: type(transform).__name__)
def test_resampling_never_blends_ids(transform: Any) -> None:
    image = default_rng(3).choice(np.array([0, 10, 200], np.uint8), size=(HEIGHT // 8, WIDTH // 8))
    image = image.repeat(8, axis=0).repeat(8, axis=1)
    columns = find_columns(Regions(image, 250, np.array([10, 200]), np.array([9, 199])))  # each of its own id
    np.testing.assert_array_equal(paint_regions(columns).image, image)
    _, moved = Augmentation([transform], None, 0.0)(picture(0), columns, default_rng(0))
    assert set(moved.mask.tolist()) == {9, 199}  # a blend would have an id of another
    assert not np.array_equal(paint_regions(moved).image, image)


@pytest.mark.parametrize(
    "transforms",
    [
        [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)],
        [albumentations.SomeOf([albumentations.HorizontalFlip(p=1), albumentations.VerticalFlip(p=1)], n=2, p=0.5)],
        [albumentations.OneOf([albumentations.NoOp(), albumentations.HorizontalFlip(p=1)]), albumentations.Blur(p=1)],
    ],
)
def test_flips_of_stretches_are_those_of_pixels(transforms: list[Any]) -> None:
    columns = columns_of(random_masks(12, 3))
    by_stretches, by_pixels = Augmentation(transforms, None, 0.0), Augmentation(transforms, None, 0.0)
    assert by_stretches.flips_only
    by_pixels.flips_only = False
    ways = set()
    for seed in range(12):
        image, moved = by_stretches(picture(0), columns, default_rng(seed))
        other_image, other = by_pixels(picture(0), columns, default_rng(seed))
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(dense(moved), dense(other))
        ways.add(dense(moved).tobytes())
    assert len(ways) > 1


@pytest.mark.parametrize(
    "transform",
    [
        albumentations.D4(),
        albumentations.OneOf([albumentations.NoOp(), albumentations.Transpose()]),
        albumentations.OneOf([albumentations.Compose([albumentations.HorizontalFlip()])]),  # compares sizes itself
        albumentations.Lambda(mask=lambda mask, **_: np.roll(mask, 3, axis=1), p=1),  # derived of NoOp
        albumentations.TimeReverse(),  # of HorizontalFlip
    ],
)
def test_what_turns_pictures_is_done_to_pixels(transform: Any) -> None:
    augmentation = Augmentation([transform], None, 0.0)
    assert not augmentation.flips_only
    augmentation(picture(0), columns_of(random_masks(3, 0)), default_rng(0))


def test_least_visible_share() -> None:
    with pytest.raises(ValueError, match=r"data\.min_visible is 1\.5; give a share of an object's pixels, from 0 to 1"):
        Augmentation([], None, 1.5)


def test_each_epoch_picture_and_repeat_has_randomness_of_its_own() -> None:
    addresses = [(0, 4, 0), (1, 4, 0), (0, 5, 0), (0, 4, 1), (0, 4, 2)]
    keys = [int(sample_seed(7, *address).generate_state(1)[0]) for address in addresses]
    assert len(set(keys)) == 5 and keys[0] == np.random.SeedSequence([7, 0, 4]).generate_state(1)[0]


class Left:
    """Sees the ten first columns."""

    def view(self, height: int, width: int, rng: np.random.Generator | None) -> View:
        return View((0, 0, 10, height), (height, 10), (height, 10))

    def largest(self, height: int, width: int) -> tuple[int, int]:
        return height, 10


@pytest.mark.parametrize("share, starts", [(None, [7, 4]), (0.0, [7, 4]), (0.6, [4]), (0.61, [])])
def test_objects_are_learnt_and_pasted_if_enough_of_them_is_in_view(share: float | None, starts: list[int]) -> None:
    masks = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    masks[0, :, 7:37], masks[1, :, 4:14] = 1, 1  # 3 of 30 and 6 of 10 columns in view

    def make_with(paste: CopyPaste | None, epoch: int) -> Sample:
        augmentation = None if share is None else Augmentation([], paste, share)
        seed, other = sample_seed(7, epoch, 4), lambda rng: (picture(1), record_of(masks))
        return make_sample(picture(0), record_of(masks), 4, seed, Left(), augmentation, other)

    assert make_with(None, 0).boxes[:, 0].tolist() == starts
    if share:  # what is pasted covers itself below
        found = [make_with(CopyPaste(most=1), i).boxes[:, 0].tolist() for i in range(9)]
        assert found == [starts] * 9
    pasted = [
        np.flatnonzero((make_with(CopyPaste(most=1), i).image != picture(0)[:, :10]).any((0, 2))) for i in range(9)
    ]
    assert {int(columns[0]) for columns in pasted if columns.size} == ({*starts} if share is not None else set())
