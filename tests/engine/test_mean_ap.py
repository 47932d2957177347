"""How detections come from the device to the evaluator."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.results import coco_results
from maskrcnn.structures import Detections

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def found_in(index: int, device: str) -> tuple[Detections, Any]:
    """Detections of two pictures, and the batch that they are of."""
    draw = torch.Generator().manual_seed(index)
    corners = torch.rand(2, 5, 2, generator=draw) * 30
    sides = torch.rand(2, 5, 2, generator=draw) * 20 + 1
    detections = Detections(
        torch.cat((corners, corners + sides), dim=2),
        torch.rand(2, 5, generator=draw),
        torch.randint(0, 3, (2, 5), generator=draw),
        torch.rand(2, 5, 14, 14, generator=draw),
        torch.rand(2, 5, generator=draw) < 0.8,
    )
    sizes, indices = torch.tensor([[48, 64], [64, 64]]), torch.tensor([2 * index, 2 * index + 1])
    batch = SimpleNamespace(image_sizes=sizes, original_sizes=2 * sizes, indices=indices)
    moved = SimpleNamespace(**{name: value.to(device) for name, value in vars(batch).items()})
    return Detections(*(field.to(device) for field in detections)), moved


@pytest.mark.parametrize(("device", "late"), [("cpu", 0), pytest.param("cuda", 1, marks=CUDA)])
def test_a_batch_is_handed_over_at_once_or_by_a_gpu_with_the_next_one(device: str, late: int) -> None:
    expected: dict[int, Any] = {}
    for i in range(4):
        detections, batch = found_in(i, "cpu")
        sizes = batch.image_sizes, batch.original_sizes
        expected |= coco_results(detections, *sizes, batch.indices, paste="continuous")
    assert all(expected.values())

    mean_ap = MeanAP(prefix="", max_detections=100, paste="continuous", backend="hotcoco", workers=0)
    truth = {
        "images": [{"id": i, "height": 128, "width": 128} for i in range(8)],
        "categories": [{"id": i, "name": name} for i, name in enumerate("abc")],
        "annotations": [],
    }
    mean_ap.evaluator = CocoEvaluator(truth, list("abc"), max_detections=100, backend="hotcoco")
    for i in range(4):
        detections, batch = found_in(i, device)
        mean_ap.on_validation_batch_end(None, None, detections, batch, i)  # type: ignore[arg-type]
        for tensor in (*detections, batch.indices):
            tensor.zero_()  # as the next replay writes over what it found
        assert list(mean_ap.evaluator.predictions) == list(range(2 * (i + 1 - late)))
    mean_ap.finish()
    assert mean_ap.evaluator.predictions == expected
