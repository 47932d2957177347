"""How detections come from the device to the evaluator."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from maskrcnn.engine.mean_ap import MeanAP
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.results import Result, coco_results
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.ops.paste import Crop
from maskrcnn.structures import Detections

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


HALF = 51 / 101  # the recalls 0, 0.01 .. 0.5 of 0, 0.01 .. 1
SQUARE = encode_crops([Crop(np.ones((40, 40), bool), 8, 8)], (128, 128))[0]
TRUTH = {
    "images": [{"id": i, "height": 128, "width": 128} for i in range(8)],
    "categories": [{"id": i, "name": name} for i, name in enumerate("abc")],
    "annotations": [
        {"id": i + 1, "image_id": i, "category_id": i % 2, "segmentation": SQUARE, "area": 1600.0,
         "bbox": [8.0, 8.0, 40.0, 40.0], "iscrowd": 0}
        for i in range(8)
    ],
}  # fmt: skip


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

    mean_ap = MeanAP(prefix="", max_detections=100, paste="continuous", backend="hotcoco", workers=0, per_class=False)
    mean_ap.evaluator = CocoEvaluator({**TRUTH, "annotations": []}, list("abc"), max_detections=100, backend="hotcoco")
    for i in range(4):
        detections, batch = found_in(i, device)
        mean_ap.on_validation_batch_end(None, None, detections, batch, i)  # type: ignore[arg-type]
        for tensor in (*detections, batch.indices):
            tensor.zero_()  # as the next replay writes over what it found
        assert list(mean_ap.evaluator.predictions) == list(range(2 * (i + 1 - late)))
    mean_ap.finish()
    assert mean_ap.evaluator.predictions == expected


def test_scores_of_classes_are_logged_where_asked_for() -> None:
    logged: dict[str, dict[str, float]] = {}
    for per_class in (False, True):
        mean_ap = MeanAP(
            prefix="ema/", max_detections=100, paste="continuous", backend="hotcoco", workers=0, per_class=per_class
        )
        mean_ap.evaluator = CocoEvaluator(TRUTH, list("abc"), max_detections=100, backend="hotcoco")
        # All objects of a, half of those of b, each at IoU 1; none of c exists.
        for i in (0, 1, 2, 3, 4, 6):
            found = Result(image_id=i, category_id=i % 2, bbox=[8.0, 8.0, 40.0, 40.0], score=0.9, segmentation=SQUARE)
            mean_ap.evaluator.update({i: [found]})
        mean_ap.evaluator.update({5: [], 7: []})
        trainer = SimpleNamespace(is_global_zero=True)
        module = SimpleNamespace(log_dict=logged.setdefault(str(per_class), {}).update)
        mean_ap.on_validation_epoch_end(trainer, module)  # type: ignore[arg-type]
    by_class = {name: logged["True"].pop(name) for name in set(logged["True"]) - set(logged["False"])}
    assert {name: score for name, score in by_class.items() if name[-1] != "c"} == {
        "ema/bbox/AP/a": 1, "ema/segm/AP/a": 1, "ema/bbox/AP/b": HALF, "ema/segm/AP/b": HALF,
    }  # fmt: skip
    assert all(math.isnan(by_class[f"ema/{kind}/AP/c"]) for kind in ("bbox", "segm")) and len(by_class) == 6
    assert logged["True"]["ema/segm/AP"] == logged["False"]["ema/segm/AP"] == (1 + HALF) / 2
