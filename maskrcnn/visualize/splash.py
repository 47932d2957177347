"""The colour splash: objects keep their colours, all else turns grey (as Matterport's demonstration of Mask R-CNN)."""

import cv2
import numpy as np

from maskrcnn.ops.paste import Crop
from maskrcnn.visualize.instances import to_rgb


def colour_splash(picture: np.ndarray, masks: list[Crop]) -> np.ndarray:
    """Leaves the colours of objects only.

    Args:
        picture: [h, w, C] u8, RGB if C is 3, see `to_rgb`; not changed.
        masks: of the objects, bools.

    Returns:
        [h, w, 3] u8 RGB.
    """
    colours = np.ascontiguousarray(to_rgb(picture))
    splash = cv2.cvtColor(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    for values, top, left in masks:
        place = slice(top, top + values.shape[0]), slice(left, left + values.shape[1])
        splash[place][values] = colours[place][values]
    return splash
