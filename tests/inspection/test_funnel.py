"""The recall funnel: a fault planted in each step moves the objects into that step's bucket."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.detector import detect
from maskrcnn.evaluation.pairing import pair
from maskrcnn.evaluation.results import coco_results
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.inspection.buckets import BUCKETS
from maskrcnn.inspection.counts import count_lost, describe
from maskrcnn.inspection.funnel import LAYERS, Missed, find_missed, trace
from maskrcnn.modeling.box_head import BoxPrediction
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.rpn import DELTA_WEIGHTS, RPNOutput
from maskrcnn.ops.boxes import encode_boxes, iou
from maskrcnn.ops.paste import Crop
from maskrcnn.structures import Proposals

TINY = [
    "model.backbone.width=8", "model.neck.channels=16", "model.box_head.trunk.features=[32]",
    "model.box_head.trunk.channels=[8]", "model.mask_head.channels=[16]", "model.mask_head.upsampled_channels=16",
]  # fmt: skip
CANVAS = (96, 128)
ORIGINAL = (192, 256)  # pictures are shown at half their size
# Two of 16 px, and two of 32 px and one class that overlap by IoU 0.23.
BOXES = [[8.0, 8, 24, 24], [40, 8, 56, 24], [32, 40, 64, 72], [52, 40, 84, 72]]
LABELS = [0, 1, 2, 2]
AWAY = [100.0, 80, 110, 90]


class Rigged:
    """Makes a model see certain objects, and does wrong what a test wants it to.

    Anchors that overlap an object by 0.4 are moved onto it, and regions that do by 0.6 are taken for its class.
    """

    def __init__(self, model: MaskRCNN) -> None:
        self.model = model
        self.objects, self.labels = torch.tensor(BOXES), torch.tensor(LABELS)
        self.anchors_go, self.regions_go = self.objects, self.objects
        self.mask_logit = 10.0
        fake: Any = model  # methods in place of the network's own
        fake.score_anchors, fake.examine = self.score_anchors, self.examine
        fake.mask_head.forward = self.draw

    def score_anchors(self, features: tuple[Tensor, ...]) -> RPNOutput:
        objectness, deltas = [], []
        anchors = self.model.anchors(features)
        for level in anchors:
            overlap, which = iou(level[:, None], self.objects[None]).max(dim=1)
            seen = overlap > 0.4
            objectness.append(torch.where(seen, 10 * overlap, -10)[None])
            moved = encode_boxes(self.anchors_go[which], level, DELTA_WEIGHTS)
            deltas.append(torch.where(seen[:, None], moved, 0)[None])
        return RPNOutput(tuple(objectness), tuple(deltas), anchors)

    def examine(self, table: object, proposals: Proposals) -> BoxPrediction:
        boxes = proposals.boxes.flatten(0, 1)
        overlap, which = iou(boxes[:, None], self.objects[None]).max(dim=1)
        classes = self.model.box_head.num_classes
        seen = torch.where(overlap > 0.6, self.labels[which], classes)
        logits = 10.0 * torch.nn.functional.one_hot(seen, classes + 1)
        moved = encode_boxes(self.regions_go[which], boxes, self.model.box_head.delta_weights)
        return BoxPrediction(logits, torch.where(overlap[:, None] > 0.6, moved, 0)[:, None])

    def draw(self, pooled: Tensor, labels: Tensor) -> Tensor:
        return torch.full((len(labels), 20, 20), self.mask_logit)


@functools.cache
def build_once(*overrides: str) -> MaskRCNN:
    plain = to_plain(compose([*TINY, *overrides]))
    torch.manual_seed(0)
    model: MaskRCNN = build(plain["model"], [])(4, 3).eval()
    return model


def make(*overrides: str) -> Rigged:
    return Rigged(copy.deepcopy(build_once(*overrides)))


def entry(box: list[float], label: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(2 * edge) for edge in box)
    mask = encode_crops([Crop(torch.ones(y2 - y1, x2 - x1, dtype=torch.bool).numpy(), y1, x1)], ORIGINAL)[0]
    about = {"category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
    return about | {"segmentation": mask}


def run(model: MaskRCNN, extra: list[dict[str, Any]] = []) -> list[Missed]:
    images, size = torch.zeros(1, 3, *CANVAS, dtype=torch.uint8), torch.tensor([CANVAS])
    original = torch.tensor([ORIGINAL])
    found = detect(model, images, size)
    results = coco_results(found, size, original, torch.tensor([0]), paste="continuous")[0]
    pairing = pair(results, [*map(entry, BOXES, LABELS), *extra], "segm", 0.5, 100)
    (missed,) = find_missed(model, images, size, original, [pairing], 0.5)
    assert len(missed) == len(pairing.missed())
    return missed


def limit(pre_nms: int, post_nms: int) -> Callable[[Rigged], None]:
    return lambda rigged: rigged.model.rpn.limits.update({False: (pre_nms, post_nms)})


def set_(part: str, **values: Any) -> Callable[[Rigged], None]:
    def apply(rigged: Rigged) -> None:
        for name, value in values.items():
            setattr(rigged if part == "rig" else getattr(rigged.model, part), name, value)

    return apply


FAULTS: list[tuple[str, int, Callable[[Rigged], None]]] = [
    ("rpn_boxes", 4, set_("rig", anchors_go=torch.tensor([AWAY] * 4))),
    ("rpn_pre_nms", 2, limit(1, 100)),  # one a level
    ("rpn_nms", 1, lambda rigged: setattr(rigged.model.rpn, "nms_threshold", 0.0)),
    ("rpn_nms", 2, lambda rigged: setattr(rigged.model.rpn, "min_size", 20.0)),
    ("rpn_post_nms", 3, limit(100, 1)),
    ("box_refinement", 4, set_("rig", regions_go=torch.tensor([AWAY] * 4))),
    ("score", 4, set_("box_head", score_threshold=1.0)),
    ("class", 4, set_("rig", labels=torch.tensor([1, 2, 3, 3]))),
    ("box_pre_nms", 3, set_("box_head", pre_nms=1)),
    ("box_nms", 1, set_("box_head", nms_threshold=0.0)),
    ("box_nms", 2, set_("box_head", min_size=20.0)),
    ("max_detections", 3, set_("box_head", max_detections=1)),
    ("mask", 4, set_("rig", mask_logit=-10.0)),
]


def test_nothing_is_lost_without_a_fault() -> None:
    assert run(make().model) == []


@pytest.mark.parametrize(("bucket", "number", "plant"), FAULTS, ids=[f"{name} {n}" for name, n, _ in FAULTS])
def test_a_planted_fault_moves_its_bucket(bucket: str, number: int, plant: Callable[[Rigged], None]) -> None:
    rigged = make()
    plant(rigged)
    assert [one.lost.bucket for one in run(rigged.model)] == [bucket] * number


def test_anchors_that_are_too_large_reach_nothing() -> None:
    missed = run(make("model.anchors.scales=[16.0]").model)
    assert [one.lost.bucket for one in missed] == ["anchors"] * 4
    nearest = missed[2].lost.nearest  # 32 px within an anchor of 64 px
    assert nearest is not None and nearest.iou == pytest.approx(0.25, abs=1e-6) and nearest.score is None


def test_an_object_that_is_annotated_twice_shares_its_detection() -> None:
    (missed,) = run(make().model, [entry(BOXES[2], LABELS[2])])
    assert missed.lost.bucket == "shared" and missed.mask_iou > 0.999


def test_an_object_of_another_class_in_the_same_place_is_not_seen_by_that_one() -> None:
    (missed,) = run(make().model, [entry(BOXES[2], 3)])  # its detection is the other object's own, as well as its
    assert missed.lost.bucket == "class" and missed.label == 3


def test_a_suppressed_object_is_shown_with_its_box_and_with_what_suppressed_it() -> None:
    rigged = make()
    rigged.model.box_head.nms_threshold = 0.0
    (missed,) = run(rigged.model)
    boxes = [[2 * edge for edge in box] for box in BOXES]  # in pixels of the picture
    assert missed.lost.nearest is not None and missed.lost.rival is not None
    own = boxes[2] if missed.box[0] == boxes[2][0] else boxes[3]
    other = boxes[3] if own is boxes[2] else boxes[2]
    assert missed.lost.nearest.box == pytest.approx(own, abs=0.01)
    assert missed.lost.rival.box == pytest.approx(other, abs=0.01)
    assert missed.lost.rival.iou == pytest.approx(12 / 52, abs=1e-4) and missed.lost.nearest.score > 0.99


def test_the_trace_ends_in_the_bits_of_detect() -> None:
    model = copy.deepcopy(build_once())
    torch.nn.init.normal_(model.box_head.logits.weight, std=0.3)
    torch.nn.init.normal_(model.rpn.deltas.weight, std=0.3)
    images = torch.randint(0, 256, (2, 3, *CANVAS), dtype=torch.uint8)
    sizes = torch.tensor([CANVAS, (70, 90)])
    found = detect(model, images, sizes)
    for i, layers in enumerate(trace(model, images, sizes)):
        assert len(layers) == len(LAYERS) and found.valid[i].sum() > 3
        for name in ("boxes", "scores", "labels"):
            assert torch.equal(getattr(layers[-1], name), getattr(found, name)[i][found.valid[i]])


def test_counts_by_class_and_size() -> None:
    rigged = make()
    rigged.model.box_head.min_size = 20.0
    missed = run(rigged.model)
    objects = [(one["category_id"], one["area"]) for one in map(entry, BOXES, LABELS)]
    counts = count_lost(objects, missed, ["a", "b", "c", "d"])
    assert counts["all"]["objects"] == 4 and counts["all"]["found"] == 2 and counts["all"]["lost"]["box_nms"] == 2
    assert [counts["classes"][name]["found"] for name in "abcd"] == [0, 0, 2, 0]
    assert counts["sizes"]["medium"]["objects"] == 4 and counts["sizes"]["medium"]["lost"]["box_nms"] == 2  # 32, 64 px
    assert sum(sum(row["lost"].values()) for row in counts["classes"].values()) == 2
    told = describe(missed[0], ["a", "b", "c", "d"])
    assert told["bbox"] == [16, 16, 32, 32] and told["bucket"] == "box_nms" and told["rival"] is None
    assert told["nearest"]["bbox"] == pytest.approx([16, 16, 32, 32], abs=0.01) and told["nearest"]["category"] == "a"


def test_every_bucket_names_keys_that_there_are() -> None:
    config = to_plain(compose([]))
    for bucket in BUCKETS:
        for key in bucket.keys:
            node = config
            for part in key.split("."):
                assert part in node, key
                node = node[part]
