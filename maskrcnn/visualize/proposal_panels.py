"""Panels of the first stage: from objectness to proposals."""

import cv2
import numpy as np
import torch

from maskrcnn.visualize.level_tiles import Tile, level_tiles
from maskrcnn.visualize.maps import tinted
from maskrcnn.visualize.panel import Panel, Row
from maskrcnn.visualize.scene import FOLLOWED, LEVELS, Scene, array

SHOWN = 25  # boxes on a panel: what a reader can still tell apart


def proposals_row(scene: Scene) -> Row:
    """Objectness, the best anchors before and after their deltas, and what NMS leaves."""
    refined = scene.stages.refined_anchors
    scores = torch.where(refined.valid, refined.scores, -torch.inf)[0].flatten()
    best = scores.topk(min(SHOWN, int(refined.valid[0].sum()))).indices.tolist()
    slots = refined.index.shape[2]
    index = refined.index[0].flatten()
    anchors = [scene.stages.rpn.anchors[s // slots][index[s]].cpu().numpy() for s in best]
    boxes = array(refined.boxes).reshape(-1, 4)
    proposals = scene.stages.proposals
    count, total, kept = (int(part.sum()) for part in (proposals.valid, refined.valid, scene.stages.anchors_kept))
    chosen = scene.stages.proposal_slots[0, : min(SHOWN, count)].tolist()
    example = scene.example
    followed = None if example is None else example.anchor_box
    moved = None if example is None else example.proposal
    panels = [
        _objectness(scene),
        Panel(
            "The best anchors",
            _boxes(scene, anchors, [s // slots for s in best], followed),
            f"The {len(best)} anchors of the highest objectness, coloured by level. Many agree on the same object.",
        ),
        Panel(
            "... moved by their deltas",
            _boxes(scene, [boxes[s] for s in best], [s // slots for s in best], moved),
            "Beside its objectness, each anchor predicts a shift of its centre and a change of its size; this "
            "moves it onto the object.",
        ),
        Panel(
            "Proposals",
            _boxes(scene, [boxes[s] for s in chosen], [s // slots for s in chosen], moved),
            f"On each level, non-maximum suppression drops boxes that overlap a better one: {kept} of {total} stay. "
            f"The best {count} of all levels go on; {len(chosen)} are drawn.",
        ),
    ]
    return Row("First stage: where could something be?", "MaskRCNN.score_anchors, RPN.propose", panels)


def _objectness(scene: Scene) -> Panel:
    stages = scene.stages
    tiles = []
    for level, features in enumerate(stages.pyramid):
        rows, columns = features.shape[-2:]
        best = array(stages.rpn.objectness[level].sigmoid()).reshape(rows, columns, -1).max(axis=-1)
        frame = 2 if scene.example is not None and scene.example.level == level else 1
        caption = f"{scene.level_name(level)}: up to {best.max():.2f}"
        tiles.append(Tile(caption, tinted(best, cv2.COLORMAP_INFERNO), scene.stride(level), frame))
    return Panel(
        "Objectness",
        level_tiles(scene, tiles),
        "For every anchor, the probability that an object fits it: black 0, bright yellow 1. Each level answers for "
        "objects of its size.",
    )


def _boxes(scene: Scene, boxes: list[np.ndarray], levels: list[int], followed: np.ndarray | None) -> np.ndarray:
    drawing = scene.faded
    for box, level in reversed(list(zip(boxes, levels))):
        scene.view.box(drawing, box, LEVELS[level % len(LEVELS)], 1)
    if followed is not None:
        scene.view.box(drawing, followed, FOLLOWED, 3)
    return drawing
