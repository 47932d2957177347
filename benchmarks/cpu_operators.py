"""The operators on a CPU, and torchvision's beside them if it is there."""

from collections.abc import Callable
from typing import Any

import torch
from cpu_timing import turns
from torch import Tensor
from torchvision_workload import KNOWN
from workload import OBJECTS, choose_levels, draw_boxes, make_batch, make_model

from maskrcnn.ops.masks import crop_masks
from maskrcnn.ops.matching import match_boxes
from maskrcnn.ops.nms import nms
from maskrcnn.ops.roi_align import feature_table, roi_align
from maskrcnn.structures import MASK_CROP


def operators(height: int, width: int, rounds: int, peak: float) -> dict[str, Any]:
    """RoIAlign of 1,024 regions, NMS of 5 lists of 1,000, matching all anchors with 20 objects, 128 mask targets."""
    generator = torch.Generator().manual_seed(2)
    found: dict[str, Any] = {}
    strides = (4, 8, 16, 32)
    canvas = [-(-side // 32) * 32 for side in (height, width)]
    levels = [torch.randn(2, 256, canvas[0] // s, canvas[1] // s, generator=generator) for s in strides]
    ours = [level.to(memory_format=torch.channels_last).requires_grad_() for level in levels]
    plain = [level.clone().requires_grad_() for level in levels]
    boxes = draw_boxes(1024, height, width, generator)
    images = torch.arange(2).repeat_interleave(512)
    level = choose_levels(boxes)

    def pool(size: int) -> Tensor:
        return roi_align(feature_table(tuple(ours), strides), images, boxes, level, (size, size), 2, False)

    for size in (7, 14):
        gradient = torch.randn(1024, 256, size, size, generator=generator)
        rows = gradient.to(memory_format=torch.channels_last)
        works: dict[str, dict[str, Callable[[], object]]] = {
            "forward": {"ours": torch.no_grad()(lambda size=size: pool(size))},
            "forward and backward": {
                "ours": lambda size=size, rows=rows: torch.autograd.grad(pool(size), ours, rows, allow_unused=True)
            },
        }
        if KNOWN:
            from torchvision.ops import MultiScaleRoIAlign

            pooler = MultiScaleRoIAlign(["0", "1", "2", "3"], size, 2)

            def theirs(pooler: Any = pooler) -> Tensor:
                pooled: Tensor = pooler(dict(zip("0123", plain)), list(boxes.split(512)), [(height, width)] * 2)
                return pooled

            works["forward"]["torchvision"] = torch.no_grad()(theirs)
            works["forward and backward"]["torchvision"] = lambda theirs=theirs, gradient=gradient: torch.autograd.grad(
                theirs(), plain, gradient, allow_unused=True
            )
            difference = (pool(size) - theirs()).detach().abs().max()
            found[f"RoIAlign {size} x {size}: greatest difference"] = float(difference)
        for name, kinds in works.items():
            found[f"RoIAlign {size} x {size}, {name}"] = turns(kinds, rounds, "ours")
    found |= _boxes(height, width, rounds, generator)
    return found


def _boxes(height: int, width: int, rounds: int, generator: torch.Generator) -> dict[str, Any]:
    found: dict[str, Any] = {}
    centres = draw_boxes(60, height, width, generator)
    near = centres[torch.randint(0, 60, (5, 1000), generator=generator)]
    near = near + torch.randn(5, 1000, 4, generator=generator) * 8
    near[..., 2:] = torch.maximum(near[..., 2:], near[..., :2] + 1)
    valid = torch.ones(5, 1000, dtype=torch.bool)
    works: dict[str, Callable[[], object]] = {"ours": lambda: nms(near, valid, 0.7)}
    if KNOWN:
        from torchvision.ops import batched_nms, box_iou

        flat, scores = near.flatten(0, 1), torch.arange(1000.0, 0, -1).repeat(5)
        groups = torch.arange(5).repeat_interleave(1000)
        works["torchvision"] = lambda: batched_nms(flat, scores, groups, 0.7)
        kept = torch.zeros(5000, dtype=torch.bool)
        kept[batched_nms(flat, scores, groups, 0.7)] = True
        found["NMS: boxes kept by one of the two alone"] = int((kept != nms(near, valid, 0.7).flatten()).sum())
    found["NMS, 5 x 1,000"] = turns(works, rounds, "ours")
    batch = make_batch(2, height, width)
    model = make_model()
    shapes = [torch.empty(1, 1, -(-height // s), -(-width // s)) for s in (4, 8, 16, 32, 64)]
    anchors = torch.cat(model.anchors(tuple(shapes)))
    works = {
        "ours": lambda: match_boxes(
            anchors, batch.targets.boxes, batch.targets.valid, low=0.3, high=0.7, low_quality=True
        )
    }
    if KNOWN:
        from torchvision.models.detection._utils import Matcher

        matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
        works["torchvision"] = lambda: [matcher(box_iou(b[:OBJECTS], anchors)) for b in batch.targets.boxes]
    found[f"matching {len(anchors)} anchors of 2 pictures"] = turns(works, rounds, "ours")
    masks = torch.rand(128, MASK_CROP, MASK_CROP, generator=generator)
    used = torch.full((128, 2), MASK_CROP)
    regions = draw_boxes(128, height, width, generator)
    works = {"ours": lambda: crop_masks(masks, used, regions, regions + 2, 28, 2)}
    if KNOWN:
        from torchvision.models.detection.roi_heads import project_masks_on_boxes

        full = (torch.rand(OBJECTS, height, width, generator=generator) > 0.5).to(torch.uint8)
        which = torch.arange(128) % OBJECTS
        works["torchvision"] = lambda: project_masks_on_boxes(full, regions, which, 28)
    found["mask targets of 128 regions"] = turns(works, rounds, "ours")
    return found
