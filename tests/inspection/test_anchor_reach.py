import numpy as np
import pytest
import torch

from maskrcnn.inspection.anchors import best_iou, cell_shapes, cluster, model_shapes, sample_boxes, shares, suggest
from maskrcnn.inspection.reach import measure_reach
from maskrcnn.modeling.anchors import Anchors
from maskrcnn.ops.boxes import iou
from tests.inspection.test_inspection import LIMITS

STRIDES = (4, 8, 16)
SCALES, RATIOS = [4.0, 6.0], [0.5, 1.0, 2.0]


def random_boxes(number: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(np.log(6), np.log(100), (number, 2)))
    return np.concatenate([rng.uniform(100, 150, (number, 2)) - sides / 2, sides], axis=1)


def test_is_the_best_of_all_anchors_of_the_model() -> None:
    boxes = random_boxes(200)
    anchors = Anchors(STRIDES, scales=SCALES, ratios=RATIOS, rounded=False, measured_strides=False)
    maps = tuple(torch.zeros(1, 1, 256 // stride, 256 // stride) for stride in STRIDES)
    corners = torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))
    expected = iou(corners.float()[:, None], torch.cat(anchors(maps))[None]).amax(dim=-1)
    np.testing.assert_allclose(best_iou(boxes, *cell_shapes(STRIDES, SCALES, RATIOS)), expected, atol=1e-5)
    np.testing.assert_allclose(best_iou(boxes, *model_shapes(anchors, STRIDES)), expected, atol=1e-5)


def test_a_box_by_hand() -> None:
    shapes, strides = cell_shapes([8], [4.0], [1.0])
    assert shapes.tolist() == [[32, 32]] and strides.tolist() == [8]
    on_the_grid, between = [16 - 16, 16 - 16, 32, 32], [20 - 16, 16 - 16, 32, 32]
    assert best_iou(np.array([on_the_grid, between]), shapes, strides).tolist() == pytest.approx(
        [1, 28 * 32 / (2 * 32 * 32 - 28 * 32)]
    )
    assert shares(np.array([0.4, 0.5, 0.7, 1.0])) == (0.75, 0.5)


def test_clusters() -> None:
    assert cluster(np.array([1, 1.1, 1 / 1.1, 10, 11, 10 / 1.1, 100, 100, 100]), 3) == [1.0, 10.0, 100.0]


def test_suggests_what_the_boxes_were_made_from() -> None:
    rng = np.random.default_rng(0)
    sides = np.repeat([[16.0, 16.0], [32.0, 32.0], [64.0, 64.0]], 50, axis=0)
    boxes = np.concatenate([rng.integers(10, 40, (150, 2)) * 16.0 - sides / 2, sides], axis=1)
    scales, ratios, reached = suggest(boxes, STRIDES)
    assert (scales, ratios) == ([4.0], [1.0])
    assert reached == (1.0, pytest.approx(shares(best_iou(boxes, *cell_shapes(STRIDES, [4.0], [1.0])))[1]))


def test_numbers_are_of_all_boxes_and_shares_of_a_sample() -> None:
    sides = np.repeat([16.0, 64.0], [40_000, 10_000])[:, None].repeat(2, axis=1)
    boxes = np.concatenate([64 - sides / 2, sides], axis=1)
    limits = LIMITS._replace(shapes=cell_shapes([8], [2.0], [1.0]), strides=(8,))
    reach = measure_reach(boxes, limits)
    assert reach is not None
    assert {size: number for size, (number, *_) in reach.by_size.items()} == {
        "all": 50_000, "small (under 32 px)": 40_000, "medium (32 to 96 px)": 10_000,
    }  # fmt: skip
    assert reach.by_size["small (under 32 px)"][1:] == (1.0, 1.0)
    assert reach.by_size["medium (32 to 96 px)"][1:] == (0.0, 0.0)
    assert reach.by_size["all"][1] == pytest.approx(0.8, abs=0.02)


def test_suggests_no_keys_that_anchors_of_a_user_do_not_have() -> None:
    boxes = np.tile([16.0, 16.0, 32.0, 32.0], (10, 1))
    limits = LIMITS._replace(shapes=cell_shapes([8], [1.0], [1.0]), strides=(8,))
    ours, theirs = measure_reach(boxes, limits), measure_reach(boxes, limits._replace(scaled=False))
    assert ours is not None and ours.suggestion == ([4.0], [1.0], (1.0, 1.0))
    assert theirs is not None and theirs.suggestion is None and theirs.by_size == ours.by_size


def test_many_boxes_are_sampled() -> None:
    few = random_boxes(10)
    assert np.array_equal(sample_boxes(np.concatenate([few, [[5.0, 5, 0, 9]]])), few)  # one has no area
    many = np.arange(120_000, dtype=np.float64).reshape(-1, 4)
    sampled = sample_boxes(many)
    assert len(np.unique(sampled[:, 0])) == 20_000 and set(sampled[:, 0]) <= set(many[:, 0])
