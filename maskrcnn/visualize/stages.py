"""One sheet of what the network sees of a picture and does with it, stage by stage."""

import numpy as np

from maskrcnn.modeling.stages import Stages
from maskrcnn.ops.paste import Convention
from maskrcnn.visualize.feature_panels import features_row
from maskrcnn.visualize.mask_panels import masks_row
from maskrcnn.visualize.panel import sheet
from maskrcnn.visualize.proposal_panels import proposals_row
from maskrcnn.visualize.region_panels import regions_row
from maskrcnn.visualize.scene import FOLLOWED, LEVELS, NEGATIVE, POSITIVE, make_scene


def draw_stages(name: str, stages: Stages, classes: list[str], thresholds: np.ndarray, paste: Convention) -> np.ndarray:
    """Draws the stages as panels, each from the tensors themselves, and follows the best detection through them.

    Args:
        name: of the picture, for the title.
        stages: of this picture alone (B = 1), on any device.
        classes: name of each label.
        thresholds: [K] the least score of a final detection of each class.
        paste: how masks are put into the picture.

    Returns:
        [H, SHEET_WIDTH, 3] u8 RGB.
    """
    scene = make_scene(stages, classes, thresholds, paste)
    example = scene.example
    followed = "nothing was found" if example is None else f"followed: {classes[example.label]} {example.score:.2f}"
    legend = [("the object that all panels follow", FOLLOWED), ("positive", POSITIVE), ("negative", NEGATIVE)]
    levels = range(len(stages.pyramid))
    legend += [(f"{scene.level_name(i)}, stride {scene.stride(i)}", LEVELS[i % len(LEVELS)]) for i in levels]
    rows = [features_row(scene), proposals_row(scene), regions_row(scene), masks_row(scene)]
    return sheet(f"{name}, stage by stage; {followed}", legend, rows)
