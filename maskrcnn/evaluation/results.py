"""Detections of a batch as COCO results in the frame of the pictures as they were read."""

from typing import TypedDict

import numpy as np
from torch import Tensor

from maskrcnn.evaluation.rle import Rle, encode_crops
from maskrcnn.ops.paste import Convention, paste_crop
from maskrcnn.structures import Detections


class Result(TypedDict):
    """One detected instance in COCO's results format, with internal ids."""

    image_id: int  # the picture's position in the data set
    category_id: int  # label, 0..K-1
    bbox: list[float]  # x, y, width, height in pixels of the original picture
    score: float
    segmentation: Rle


def coco_results(
    detections: Detections,
    image_sizes: Tensor,
    original_sizes: Tensor,
    indices: Tensor,
    *,
    paste: Convention,
) -> dict[int, list[Result]]:
    """Turns detections on the padded canvas into COCO results.

    Args:
        detections: what the model found, on any device; boxes in pixels of the padded canvas. A detection without area
            inside the picture is left out, as in Detectron2's `detector_postprocess`.
        image_sizes: [B, 2] int64, height and width of the content on the canvas.
        original_sizes: [B, 2] int64, height and width of the pictures as they were read.
        indices: [B] int64, the pictures' positions in their data set.
        paste: convention of putting masks into the picture, see `maskrcnn.ops.paste`.

    Returns:
        The results of each picture by its index, best first. A picture in which nothing was found has an empty list, so
        that the keys say which pictures were looked at.

    Raises:
        ValueError: a real detection has a box or a score that is not finite.
    """
    valid = detections.valid.cpu().numpy()
    boxes = detections.boxes.detach().float().cpu().numpy()
    scores = detections.scores.detach().float().cpu().numpy()
    labels = detections.labels.cpu().numpy()
    masks = detections.masks.detach().float().cpu().numpy()
    results: dict[int, list[Result]] = {}
    for i, index in enumerate(indices.tolist()):
        height, width = original_sizes[i].tolist()
        scale_y, scale_x = (original_sizes[i].float() / image_sizes[i]).tolist()
        scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        corner = np.array([width, height, width, height], np.float32)
        found, crops = [], []
        for slot in np.flatnonzero(valid[i]):
            box, score = boxes[i, slot] * scale, scores[i, slot]
            if not (np.isfinite(box).all() and np.isfinite(score)):
                raise ValueError(
                    f"picture {index}: a detection's box or score is not finite; the weights have probably diverged: "
                    "lower the learning rate, lengthen the warm-up or clip the gradients"
                )
            x1, y1, x2, y2 = np.clip(box, 0, corner).tolist()
            if x2 <= x1 or y2 <= y1:
                continue
            found.append((int(labels[i, slot]), [x1, y1, x2 - x1, y2 - y1], float(score)))
            # in the frame of the box before clipping
            crops.append(paste_crop(masks[i, slot], box, (height, width), paste))
        results[index] = [
            Result(image_id=index, category_id=label, bbox=bbox, score=score, segmentation=rle)
            for (label, bbox, score), rle in zip(found, encode_crops(crops, (height, width)))
        ]
    return results
