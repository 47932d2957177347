"""Panels of the features: the picture, the backbone, the pyramid, and anchors on it."""

import cv2
import numpy as np

from maskrcnn.visualize.level_tiles import Tile, level_tiles
from maskrcnn.visualize.maps import principal, spread, tinted
from maskrcnn.visualize.panel import Panel, Row
from maskrcnn.visualize.scene import FOLLOWED, LEVELS, Scene, array


def features_row(scene: Scene) -> Row:
    """The picture, the backbone's maps, the pyramid, and anchors on it."""
    backbone, pyramid = ([array(level) for level in maps] for maps in (scene.stages.backbone, scene.stages.pyramid))
    first = scene.stride(0).bit_length() - 1
    sizes = ", ".join(f"{len(level)}" for level in backbone)
    panels = [
        _picture(scene),
        Panel(
            "Backbone",
            _maps(scene, backbone, [f"C{first + i}" for i in range(len(backbone))]),
            f"Convolutions halve the grid from map to map and have {sizes} channels. Shown is their first principal "
            "component: cells of like colour are alike to the network.",
        ),
        Panel(
            "Feature pyramid",
            _maps(scene, pyramid, [scene.level_name(i) for i in range(len(pyramid))]),
            f"Coarse maps, which know what, are added to fine ones, which know where: {len(pyramid[0])} channels each, "
            "so that one head reads all. Large objects are found on coarse levels, small ones on fine.",
        ),
        _anchors(scene),
    ]
    return Row("Features", "MaskRCNN.extract, Anchors", panels)


def _picture(scene: Scene) -> Panel:
    drawing = scene.view.show(scene.picture, 1)
    height, width = scene.picture.shape[:2]
    if scene.example is not None:
        scene.view.box(drawing, scene.example.box, FOLLOWED, 3)
    canvas = scene.stages.pixels.shape[-2:]
    return Panel(
        "The picture, as the network gets it",
        drawing,
        f"Resized to {height} x {width} pixels, on a canvas of {canvas[0]} x {canvas[1]}; each channel is brought to "
        "zero mean and unit variance.",
    )


def _maps(scene: Scene, maps: list[np.ndarray], names: list[str]) -> np.ndarray:
    tiles = []
    for i, (level, name) in enumerate(zip(maps, names)):
        values = np.tensordot(principal(level), level, 1)
        picture = tinted(spread(values, values), cv2.COLORMAP_VIRIDIS)
        tiles.append(Tile(f"{name}: {level.shape[1]} x {level.shape[2]}", picture, scene.stride(i), 0))
    return level_tiles(scene, tiles)


def _anchors(scene: Scene) -> Panel:
    drawing = scene.faded
    stages, (height, width) = scene.stages, scene.picture.shape[:2]
    centre = np.array([width / 2, height / 2]) if scene.example is None else _centre(scene.example.anchor_box)
    per_cell = stages.rpn.anchors[0].shape[0] // (stages.pyramid[0].shape[-2] * stages.pyramid[0].shape[-1])
    levels = range(len(stages.rpn.anchors))
    dotted = next((level for level in levels if scene.stride(level) * scene.view.scale >= 8), levels[-1])
    by_cell = [anchors.cpu().numpy().reshape(-1, per_cell, 4) for anchors in stages.rpn.anchors]
    centres = [_centre(anchors[:, 0]) for anchors in by_cell]
    for point in centres[dotted]:
        scene.view.dot(drawing, point, LEVELS[dotted % len(LEVELS)], 1)
    for level in reversed(levels):
        cell = int(np.square(centres[level] - centre).sum(axis=-1).argmin())
        for anchor in by_cell[level][cell]:
            scene.view.box(drawing, anchor, LEVELS[level % len(LEVELS)], 2)
    if scene.example is not None:
        scene.view.box(drawing, scene.example.anchor_box, FOLLOWED, 3)
    total = sum(len(level) for level in stages.rpn.anchors)
    return Panel(
        "Anchors",
        drawing,
        f"Boxes of fixed sizes at every cell of every level, {total:,} in all; {per_cell} a cell. Drawn are those of "
        f"one place on each level; the dots are the cells of {scene.level_name(dotted)}.",
    )


def _centre(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., :2] + boxes[..., 2:]) / 2
