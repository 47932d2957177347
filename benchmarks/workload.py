"""What the benchmarks of a CPU and of a GPU run: ResNet-50-FPN, and pictures with objects of the sizes of COCO's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.module import mean_losses
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import MASK_CROP, Batch, Losses, Targets

PAPER = ["experiment=coco_r50_fpn_1x", "data=shapes", "weights=null"]
OBJECTS, SLOTS, CLASSES, PROPOSALS = 20, 32, 80, 1000


def make_model(*overrides: str) -> MaskRCNN:
    torch.manual_seed(0)
    model: MaskRCNN = build(to_plain(compose([*PAPER, *overrides]))["model"], [])(CLASSES, 3)
    return model


def draw_boxes(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Boxes [count, 4] in the picture, of sides from 1/50 to 1/2 of its height, log-uniform."""
    sides = height / 50 * 25 ** torch.rand(count, 2, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * (torch.tensor([float(width), height]) - sides)
    return torch.cat((corners, corners + sides), dim=1)


def make_batch(images: int, height: int, width: int, objects: int = OBJECTS, slots: int = SLOTS) -> Batch:
    """Smooth pictures, and on each `objects` objects that fill their boxes, in `slots` slots."""
    generator = torch.Generator().manual_seed(1)
    canvas = [-(-side // 32) * 32 for side in (height, width)]
    coarse = torch.rand(images, 3, 25, 42, generator=generator) * 255
    pixels = nn.functional.interpolate(coarse, canvas, mode="bicubic").clamp(0, 255).to(torch.uint8)
    boxes = torch.zeros(images, slots, 4)
    boxes[:, :objects] = torch.stack([draw_boxes(objects, height, width, generator) for _ in range(images)])
    valid = torch.arange(slots).expand(images, -1) < objects
    targets = Targets(
        boxes,
        torch.where(valid, torch.randint(0, CLASSES, (images, slots), generator=generator), 0),
        torch.where(valid[..., None, None], 255, 0).to(torch.uint8).expand(-1, -1, MASK_CROP, MASK_CROP),
        torch.where(valid, MASK_CROP, 0)[..., None].expand(-1, -1, 2),
        valid,
    )
    sizes, index = torch.tensor([[height, width]] * images), torch.arange(images)
    return Batch(pixels, sizes, sizes, index, index + 1, targets)


def choose_levels(boxes: Tensor) -> Tensor:
    """The level, 0 for P2 to 3 for P5, that each box is pooled from (arXiv 1612.03144, equation 1)."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return torch.floor(4 + torch.log2(area.sqrt() / 224)).clamp(2, 5).long() - 2


def calibrate(model: nn.Module, run: Callable[[], object]) -> None:
    """Gives frozen norms the statistics of what they see, as trained ones have: else values grow block by block."""

    def see(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3)))

    hooks = [part.register_forward_pre_hook(see) for part in model.modules() if hasattr(part, "running_var")]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()


def total(losses: Losses) -> Tensor:
    """The sum of all losses."""
    return torch.stack(list(mean_losses(losses).values())).sum()
