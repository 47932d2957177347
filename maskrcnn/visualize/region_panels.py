"""Panels of the second stage: what a region is, and where exactly."""

from typing import NamedTuple

import cv2
import numpy as np
import torch

from maskrcnn.ops.boxes import encode_boxes
from maskrcnn.visualize.maps import principal, spread, tinted
from maskrcnn.visualize.panel import WIDTH, Panel, Row, write
from maskrcnn.visualize.scene import FOLLOWED, NEGATIVE, POSITIVE, Example, Scene, array, framed, zoom_size, zoomed
from maskrcnn.visualize.text import BLACK, WHITE
from maskrcnn.visualize.view import View, around

_BARS = 8  # bars of the classes of the highest scores


def regions_row(scene: Scene) -> Row:
    """Positive and negative regions, RoIAlign on one of them, its scores, and its refined box."""
    panels = [_signs(scene)]
    if scene.example is None:
        blank = np.full((1, WIDTH, 3), WHITE, np.uint8)
        panels.append(Panel("Nothing to follow", blank, "No region scored enough for a class to be a detection."))
    else:
        region = _region(scene, scene.example)
        panels += [_align(scene, scene.example, region), _scores(scene, scene.example, region)]
        panels.append(_refinement(scene, scene.example))
    return Row("Second stage: what is it, and where exactly?", "MaskRCNN.classify: RoIPooler, BoxHead", panels)


def _signs(scene: Scene) -> Panel:
    logits, valid = scene.stages.prediction.logits, scene.stages.proposals.valid[0].cpu().numpy()
    positive = (logits.argmax(dim=-1) < logits.shape[1] - 1).cpu().numpy() & valid
    boxes = array(scene.stages.proposals.boxes)
    drawing = scene.faded
    for group, colour in ((valid & ~positive, NEGATIVE), (positive, POSITIVE)):
        for box in boxes[group]:
            scene.view.box(drawing, box, colour, 1)
    if scene.example is not None:
        scene.view.box(drawing, scene.example.proposal, FOLLOWED, 3)
    return Panel(
        "Positive and negative regions",
        drawing,
        f"Of {valid.sum()} proposals (RoIs), the box head takes {positive.sum()} for an object (green) and the rest "
        "for background (grey).",
    )


class _Region(NamedTuple):
    """The followed proposal on the level that it reads; both pictures of it have the same colours."""

    level: int
    view: View
    shown: np.ndarray  # the level around it, as the view shows it
    pooled: np.ndarray  # [S, S, 3] u8, its pooled features


def _region(scene: Scene, example: Example) -> _Region:
    level = int(scene.stages.region_levels[0, example.region])
    view = around(example.proposal, zoom_size(scene))
    features = array(scene.stages.pyramid[level])
    direction = principal(features)
    values = np.tensordot(direction, features, 1)
    stride = scene.stride(level)
    x1, y1, x2, y2 = (example.proposal / stride).astype(int)
    inside = values[y1 : y2 + 1, x1 : x2 + 1]
    shown = view.show(tinted(spread(values, inside), cv2.COLORMAP_VIRIDIS), stride)
    pooled = np.tensordot(direction, array(scene.stages.region_features)[example.region], 1)
    return _Region(level, view, shown, tinted(spread(pooled, inside), cv2.COLORMAP_VIRIDIS))


def _align(scene: Scene, example: Example, region: _Region) -> Panel:
    view, drawing = region.view, region.shown.copy()
    bins = len(region.pooled)
    x1, y1, x2, y2 = example.proposal
    for i in range(1, bins):
        x, y = x1 + (x2 - x1) * i / bins, y1 + (y2 - y1) * i / bins
        view.line(drawing, np.array([(x, y1), (x, y2)]), WHITE, 1)
        view.line(drawing, np.array([(x1, y), (x2, y)]), WHITE, 1)
    view.box(drawing, example.proposal, FOLLOWED, 3)
    grid = scene.stages.region_grid
    columns, rows = (int(counts[example.region]) for counts in (grid.x_samples, grid.y_samples))
    radius = min(3.0, view.scale * min((x2 - x1) / columns, (y2 - y1) / rows) / bins / 4)
    for point in sample_points(scene, example.region):
        view.dot(drawing, point, FOLLOWED, radius)
    points = "its middle" if rows * columns == 1 else f"{rows} x {columns} points"
    return Panel(
        "RoIAlign",
        drawing,
        f"The proposal on {scene.level_name(region.level)}, chosen by its size; squares are cells of "
        f"{scene.stride(region.level)} px. {bins} x {bins} bins, each read at {points} (dots), by interpolation "
        "between cells: nothing is rounded.",
    )


def sample_points(scene: Scene, region: int) -> np.ndarray:
    """Where the features of a proposal are read: [n, 2] as x, y in pixels of the canvas."""
    grid, stride = scene.stages.region_grid, scene.stride(int(scene.stages.region_levels[0, region]))
    y = grid.y[region, :, : int(grid.y_samples[region])].flatten().cpu().numpy()
    x = grid.x[region, :, : int(grid.x_samples[region])].flatten().cpu().numpy()
    return np.stack(np.meshgrid((x + 0.5) * stride, (y + 0.5) * stride), axis=-1).reshape(-1, 2)


def _scores(scene: Scene, example: Example, region: _Region) -> Panel:
    drawing = np.full((*zoom_size(scene), 3), 255, np.uint8)
    side = drawing.shape[1] * 2 // 5
    top = (drawing.shape[0] - side) // 2
    drawing[top : top + side, :side] = framed(region.pooled, side)
    probabilities = scene.stages.prediction.logits[example.region].float().softmax(dim=-1).cpu().numpy()
    names = [*scene.classes, "background"]
    best = np.argsort(-probabilities, kind="stable")[:_BARS]
    left, step = side + 24, 30
    first = (drawing.shape[0] - step * len(best)) // 2
    for row, label in enumerate(best):
        y = first + row * step
        length = round((drawing.shape[1] - left) * float(probabilities[label]))
        colour = FOLLOWED if label == example.label else NEGATIVE
        drawing[y + 18 : y + 24, left : left + max(length, 1)] = colour
        write(drawing, f"{names[label]}  {probabilities[label]:.2f}", left, y + 13, BLACK, 0.5, False)
    size = len(region.pooled)
    return Panel(
        "What the box head reads and says",
        drawing,
        f"Left: the region as {size} x {size} features, always as many, however large it is. Right: the "
        "probability of each class and of background.",
    )


def _refinement(scene: Scene, example: Example) -> Panel:
    view = zoomed(scene, example)
    drawing = view.show(scene.picture, 1)
    view.dashed_box(drawing, example.proposal, BLACK, 2)
    view.box(drawing, example.box, FOLLOWED, 3)
    dx, dy, dw, dh = encode_boxes(torch.tensor(example.box), torch.tensor(example.proposal), (1, 1, 1, 1)).tolist()
    return Panel(
        "The box, refined",
        drawing,
        f"The box head also moves the proposal (dashed) onto the object: by {dx:+z.2f} of its width, {dy:+z.2f} of its "
        f"height, to {np.exp(dw):.2f} and {np.exp(dh):.2f} times its size.",
    )
