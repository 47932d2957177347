import math

import torch
from torch import Tensor

from maskrcnn.ops.boxes import box_area, clip_boxes, decode_boxes, encode_boxes, generalized_iou, iou

ROI_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def test_pairwise_iou_and_giou_match_torchvision(golden: dict[str, Tensor]) -> None:
    a, b = golden["iou_a"][:, None], golden["iou_b"][None]
    torch.testing.assert_close(iou(a, b), golden["iou"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(generalized_iou(a, b), golden["giou"], rtol=1e-5, atol=1e-6)


def test_iou_by_eye() -> None:
    # Two 2x2 squares that share one 1x1 corner: 1 / (4 + 4 - 1); the hull is 3x3.
    a, b = torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 1, 3, 3])
    assert iou(a, b).item() == torch.tensor(1 / 7).item()
    assert math.isclose(generalized_iou(a, b).item(), 1 / 7 - 2 / 9, rel_tol=1e-6)


def test_empty_and_inverted_boxes_overlap_nothing() -> None:
    empty, inverted = torch.tensor([1.0, 1, 1, 1]), torch.tensor([3.0, 3, 1, 1])
    assert iou(empty, empty).item() == 0 and iou(inverted, torch.tensor([0.0, 0, 4, 4])).item() == 0
    assert generalized_iou(empty, empty).item() == 0
    assert box_area(inverted).item() == box_area(torch.tensor([3.0, 1, 1, 5])).item() == 0


def test_coder_matches_torchvision_with_its_clamp(golden: dict[str, Tensor]) -> None:
    boxes, references = golden["ms_boxes"][20:], golden["ms_boxes"][:20]
    torch.testing.assert_close(encode_boxes(boxes, references, ROI_WEIGHTS), golden["coder_enc"], rtol=1e-4, atol=1e-4)
    decoded = decode_boxes(golden["coder_deltas"], references, ROI_WEIGHTS)
    torch.testing.assert_close(decoded, golden["coder_dec"], rtol=1e-4, atol=1e-3)


def test_decode_inverts_encode() -> None:
    references = torch.tensor([[0.0, 0, 10, 20], [5, 5, 9, 7]], dtype=torch.float64)
    boxes = torch.tensor([[1.0, 2, 30, 9], [0, 0, 100, 1]], dtype=torch.float64)
    torch.testing.assert_close(
        decode_boxes(encode_boxes(boxes, references, ROI_WEIGHTS), references, ROI_WEIGHTS), boxes
    )


def test_clip_uses_each_pictures_own_size() -> None:
    boxes = torch.tensor([[[-5.0, -5, 50, 50]], [[-5, -5, 50, 50]]])
    clipped = clip_boxes(boxes, torch.tensor([[10, 20], [30, 40]]))
    assert clipped.tolist() == [[[0, 0, 20, 10]], [[0, 0, 40, 30]]]
