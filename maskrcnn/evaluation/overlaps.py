"""Detections without overlaps, as a label image holds them."""

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import decode, encode_crops
from maskrcnn.ops.paste import Crop


def remove_overlaps(results: list[Result]) -> list[Result]:
    """Gives each pixel of a picture to the detection of the highest score, of any class; of equal scores, to the first.

    Args:
        results: of one picture, in any order.

    Returns:
        Those that keep a pixel, best first, with the masks that they keep; boxes are left as they were.
    """
    if not results:
        return []
    ranked = sorted(results, key=lambda result: -result["score"])
    height, width = ranked[0]["segmentation"]["size"]
    owners = np.zeros((height, width), np.int32)
    windows = []
    for number in range(len(ranked), 0, -1):  # the best is painted last
        rle = ranked[number - 1]["segmentation"]
        x, y, w, h = (int(edge) for edge in coco_mask.toBbox(rle))
        windows.append((y, x, h, w))
        owners[y : y + h, x : x + w][decode(rle)[y : y + h, x : x + w]] = number
    crops = [
        Crop(owners[y : y + h, x : x + w] == number, y, x)
        for number, (y, x, h, w) in enumerate(reversed(windows), start=1)
    ]
    return [
        {**result, "segmentation": rle}
        for result, crop, rle in zip(ranked, crops, encode_crops(crops, (height, width)))
        if crop.values.any()
    ]
