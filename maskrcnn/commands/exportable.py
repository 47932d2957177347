"""A trained model as one program: a picture of any size in, instances out, without this package."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from maskrcnn.data.stretch import Stretch
from maskrcnn.modeling.mask_rcnn import MaskRCNN


class Fit(NamedTuple):
    """At which size the network sees a picture; the numbers of `maskrcnn.data.resize.Resize` at validation."""

    shortest: int  # pixels that the shorter side gets,
    longest: int  # unless the longer side would have more than these
    canvas: tuple[int, int]  # height and width, multiples of 32, that the result must fit into as well


def _resampling(cells: int, length: Tensor, size: int) -> Tensor:
    """Matrix [cells, size] that brings an axis of `size` pixels to `length` [] int64; further rows are 0.

    As OpenCV: the mean over each cell where the axis shrinks (INTER_AREA), else linear between pixels' centres.
    """
    cell = torch.arange(cells, dtype=torch.float64)[:, None]
    pixel = torch.arange(size, dtype=torch.float64)
    step = size / length
    overlap = torch.minimum((cell + 1) * step, pixel + 1) - torch.maximum(cell * step, pixel)
    position = ((cell + 0.5) * step - 0.5).clamp(0, size - 1)
    linear = (1 - (position - pixel).abs()).clamp(min=0)
    weights = torch.where(step > 1, overlap.clamp(min=0) / step, linear)
    return torch.where(cell < length, weights, 0).float()


def _stretch(pixels: Tensor, stretch: Stretch) -> Tensor:
    """`Stretch` of a picture [h, w, C] uint8, as tensors: the same table for each value of each channel."""
    values = pixels.permute(2, 0, 1).flatten(1).long()
    ones = torch.ones_like(values, dtype=torch.float64)
    counts = torch.zeros(values.shape[0], 256, dtype=torch.float64).scatter_add(1, values, ones)
    passed = counts.cumsum(1) / values.shape[1] * 100
    black = (passed < stretch.low).sum(1, keepdim=True)
    white = (passed < stretch.high).sum(1, keepdim=True)
    position = (torch.arange(256) - black) / (white - black).clamp(min=1).double()
    table = (position.clamp(0, 1) ** stretch.gamma * 255).round()
    return table.gather(1, values).view(pixels.shape[2], pixels.shape[0], pixels.shape[1]).float()


class Exportable(nn.Module):
    """`MaskRCNN.detect` of one picture, with everything before and after it that pixels need.

    Args:
        model: in evaluation mode, on the CPU.
        fit: the size at which it sees pictures.
        stretch: of the contrast of each picture, if it was trained so.
    """

    def __init__(self, model: MaskRCNN, fit: Fit, stretch: Stretch | None) -> None:
        super().__init__()
        self.model, self.fit, self.stretch = model, fit, stretch

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Finds the instances in a picture [h, w, C] uint8, RGB if C is 3.

        Returns:
            boxes [D, 4] x1, y1, x2, y2 in pixels of the picture; scores [D]; labels [D] int64; masks [D, M, M],
            probabilities in the frame of the box; valid [D] bool, which of the D slots hold an instance: best first.
        """
        height, width = picture.shape[:2]
        size = torch.stack((torch.scalar_tensor(height), torch.scalar_tensor(width))).double()
        most = torch.tensor(self.fit.canvas, dtype=torch.float64)
        scale = torch.minimum(self.fit.shortest / size.min(), self.fit.longest / size.max())
        # What does not fit into the canvas shrinks further; the bound is on the rounded size.
        scale = torch.minimum(scale, ((most + 0.499) / size).min())
        seen = (size * scale + 0.5).floor().clamp(min=1).long()
        pixels = picture.permute(2, 0, 1).float() if self.stretch is None else _stretch(picture, self.stretch)
        rows = _resampling(self.fit.canvas[0], seen[0], height)
        columns = _resampling(self.fit.canvas[1], seen[1], width)
        canvas = (rows @ pixels @ columns.T).round()  # whole numbers, as uint8 pictures have
        found = self.model.detect(canvas[None], seen[None])
        back = (size / seen).float()
        boxes = found.boxes[0] * torch.stack((back[1], back[0], back[1], back[0]))
        return boxes, found.scores[0], found.labels[0], found.masks[0], found.valid[0]


def make_program(module: Exportable, channels: int) -> torch.export.ExportedProgram:
    """The module as a program for pictures [h, w, channels] of any height and width from 2 on."""
    example = torch.zeros(97, 131, channels, dtype=torch.uint8)
    sides = {0: torch.export.Dim("height", min=2), 1: torch.export.Dim("width", min=2)}
    module.requires_grad_(False)  # the file keeps it, and outputs that have a gradient refuse numpy()
    with torch.no_grad():
        return torch.export.export(module, (example,), dynamic_shapes={"picture": sides}, strict=True)
