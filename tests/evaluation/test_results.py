import json
import math

import numpy as np
import pytest
import torch

from maskrcnn.evaluation.results import coco_results
from maskrcnn.evaluation.rle import decode
from maskrcnn.structures import Detections


def detections(boxes: list, scores: list, labels: list, valid: list, masks: torch.Tensor | None = None) -> Detections:
    shape = (len(boxes), len(boxes[0]))
    return Detections(
        boxes=torch.tensor(boxes, dtype=torch.float32),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels),
        masks=torch.ones(*shape, 28, 28) if masks is None else masks,
        valid=torch.tensor(valid),
    )


# Picture 5 was read as 50 x 120 and resized to 100 x 180; picture 2 as 64 x 64, resized to 32 x 32.
IMAGE_SIZES = torch.tensor([[100, 180], [32, 32]])
ORIGINAL_SIZES = torch.tensor([[50, 120], [64, 64]])
INDICES = torch.tensor([5, 2])
NAN = math.nan


def test_boxes_and_masks_return_to_the_original_picture() -> None:
    found = detections(
        boxes=[[[30, 20, 60, 60], [0, 0, 9, 9]], [[8, 4, 16, 12], [20, 20, 40, 36]]],
        scores=[[0.75, 0.5], [0.5, 0.25]],
        labels=[[3, 0], [1, 2]],
        valid=[[True, False], [True, True]],
    )
    results = coco_results(found, IMAGE_SIZES, ORIGINAL_SIZES, INDICES, paste="continuous")
    assert list(results) == [5, 2]
    (first,) = results[5]
    assert (first["image_id"], first["category_id"], first["score"]) == (5, 3, 0.75)
    np.testing.assert_allclose(first["bbox"], [20, 10, 20, 20], rtol=1e-6)  # x by 120 / 180, y by 50 / 100
    expected = np.zeros((50, 120), bool)
    expected[10:30, 20:40] = True
    np.testing.assert_array_equal(decode(first["segmentation"]), expected)

    second, over_the_edge = results[2]
    assert (second["image_id"], second["category_id"], second["bbox"]) == (2, 1, [16, 8, 16, 16])
    assert (over_the_edge["category_id"], over_the_edge["bbox"]) == (2, [40, 40, 24, 24])
    np.testing.assert_array_equal(np.argwhere(decode(over_the_edge["segmentation"])).min(0), [40, 40])
    np.testing.assert_array_equal(np.argwhere(decode(over_the_edge["segmentation"])).max(0), [63, 63])


def test_mask_is_read_in_the_frame_of_the_box_before_clipping() -> None:
    masks = torch.zeros(1, 1, 28, 28)
    masks[..., 14:] = 1  # the right half
    found = detections([[[-40, 0, 40, 56]]], [[0.9]], [[0]], [[True]], masks)
    size = torch.tensor([[56, 56]])
    (result,) = coco_results(found, size, size, torch.tensor([0]), paste="continuous")[0]
    assert result["bbox"] == [0, 0, 40, 56]
    bitmap = decode(result["segmentation"])
    assert bitmap[28, :40].all() and not bitmap[28, 40:].any()


def test_what_is_not_there_is_left_out_but_its_picture_is_named() -> None:
    found = detections(
        boxes=[[[NAN, 0, 1, 1], [5, 5, 5, 9], [200, 5, 210, 9]], [[0, 0, 8, 8]] * 3],
        scores=[[NAN, 0.5, 0.5], [0.5] * 3],
        labels=[[0, 0, 0], [0] * 3],
        valid=[[False, True, True], [False] * 3],
    )
    assert coco_results(found, IMAGE_SIZES, ORIGINAL_SIZES, INDICES, paste="continuous") == {5: [], 2: []}


def test_junk_in_invalid_slots_changes_nothing() -> None:
    clean = detections([[[8, 4, 16, 12], [0, 0, 1, 1]]], [[0.5, 0.0]], [[1, 0]], [[True, False]])
    junk = detections([[[8, 4, 16, 12], [NAN] * 4]], [[0.5, NAN]], [[1, 99]], [[True, False]])
    junk.masks[:, 1] = NAN
    arguments = (IMAGE_SIZES[1:], ORIGINAL_SIZES[1:], INDICES[1:])
    results = coco_results(junk, *arguments, paste="continuous")
    assert results == coco_results(clean, *arguments, paste="continuous")
    assert len(results[2]) == 1


def test_conventions_give_their_own_areas() -> None:
    found = detections([[[8, 4, 16, 12]]], [[0.5]], [[1]], [[True]])
    areas = {}
    for paste in ("continuous", "integer"):
        results = coco_results(found, IMAGE_SIZES[1:], IMAGE_SIZES[1:], INDICES[1:], paste=paste)
        areas[paste] = int(decode(results[2][0]["segmentation"]).sum())
    # The integer box, 8 pixels grown by 30 / 28 and truncated, is 7.71..16.29 -> 7..16: ten pixels, each way, of which
    # the outermost read 30 / 10 * 0.5 - 0.5 = 1.0 cells from the padding's centre, which is inside the mask.
    assert areas == {"continuous": 64, "integer": 100}


def test_results_are_plain_json() -> None:
    found = detections([[[8, 4, 16, 12]]], [[0.5]], [[1]], [[True]])
    results = coco_results(found, IMAGE_SIZES[1:], ORIGINAL_SIZES[1:], INDICES[1:], paste="continuous")
    assert json.loads(json.dumps(results[2])) == results[2]


@pytest.mark.parametrize("box, score", [([0, 0, NAN, 5], 0.5), ([0, 0, 5, 5], NAN), ([0, 0, math.inf, 5], 0.5)])
def test_detections_that_are_not_finite_are_refused(box: list[float], score: float) -> None:
    found = detections([[box]], [[score]], [[0]], [[True]])
    with pytest.raises(ValueError, match=r"picture 2: a detection's box or score is not finite.*clip the gradients"):
        coco_results(found, IMAGE_SIZES[1:], ORIGINAL_SIZES[1:], INDICES[1:], paste="continuous")
