"""Pictures of lost objects and of wrong detections, a sheet for each step that lost some and for each kind of error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import decode
from maskrcnn.inspection.buckets import Bucket
from maskrcnn.inspection.counts import size_of
from maskrcnn.inspection.funnel import Missed
from maskrcnn.visualize.closeup import Outline, Shade, closeup
from maskrcnn.visualize.instances import PALETTE
from maskrcnn.visualize.sheet import captioned, contact_sheet, save_png
from maskrcnn.visualize.text import WHITE

MOST, COLUMNS = 12, 4
OBJECT, NEAREST, RIVAL = PALETTE[0], PALETTE[1], PALETTE[4]  # orange, blue, pink
LEGEND = "orange: the lost object, blue: what came nearest, with its IoU"


class Wrong(NamedTuple):
    """A wrong detection, with the object concerned, an entry of COCO's annotations, if there is one."""

    detection: Result
    target: dict[str, Any] | None


def draw_gallery(
    bucket: Bucket,
    missed: list[tuple[int, Missed]],
    read: Callable[[int], np.ndarray],
    classes: list[str],
    path: Path,
) -> None:
    """Draws objects of a bucket, at most 12 that are evenly spread over all.

    Args:
        bucket: of all of them.
        missed: at least one object with its picture's index; read: the picture [h, w, C] of an index.
        classes: name of each label.
        path: of the PNG.
    """
    places = np.linspace(0, len(missed) - 1, min(MOST, len(missed))).round().astype(int)
    shown = [missed[i] for i in places.tolist()]
    tiles = [draw_missed(one, read(index), classes) for index, one in shown]
    legend = LEGEND + (", pink: what stands in its place" if any(one.lost.rival for _, one in shown) else "")
    _save(tiles, f"{bucket.title}: {len(tiles)} of {len(missed)}", legend, path)


def draw_errors(
    title: str, wrong: list[Wrong], read: Callable[[int], np.ndarray], classes: list[str], path: Path
) -> None:
    """Draws wrong detections of one kind, the 12 of the highest score.

    Args:
        title: of the sheet.
        wrong: at least one; read: the picture [h, w, C] of an index.
        classes: name of each label.
        path: of the PNG.
    """
    worst = sorted(wrong, key=lambda one: -one.detection["score"])[:MOST]
    tiles = [draw_wrong(one, read(one.detection["image_id"]), classes) for one in worst]
    legend = "blue: the detection" + (", orange: the object" if any(one.target for one in worst) else "")
    _save(tiles, f"{title}: {len(tiles)} of {len(wrong)}, of the highest score", legend, path)


def _save(tiles: list[np.ndarray], title: str, legend: str, path: Path) -> None:
    sheet = contact_sheet(tiles, COLUMNS)
    short = max(760 - sheet.shape[1], 0)  # the legend's width
    sheet = np.pad(sheet, ((8, 0), (0, short), (0, 0)), constant_values=WHITE[0])
    save_png(path, captioned(captioned(sheet, legend), title))


def draw_missed(missed: Missed, picture: np.ndarray, classes: list[str]) -> np.ndarray:
    """A lost object and what came nearest, with two lines that say what they are."""
    width, height = missed.box[2:]
    outlines = [Outline(_corners(missed.box), OBJECT)]
    for nearest, colour in ((missed.lost.nearest, NEAREST), (missed.lost.rival, RIVAL)):
        if nearest is not None:
            outlines.append(Outline(nearest.box, colour))
    shades = [Shade(decode(missed.segmentation), OBJECT)]
    if missed.lost.bucket in ("mask", "shared") and missed.mask is not None:
        shades.append(Shade(decode(missed.mask), NEAREST))
    about = f"{classes[missed.label]}, {round(width)} x {round(height)} px, {size_of(missed.area)}"
    return _tile(closeup(picture, outlines, shades), about, _nearest_line(missed, classes))


def draw_wrong(wrong: Wrong, picture: np.ndarray, classes: list[str]) -> np.ndarray:
    """A wrong detection and the object that it concerns, with two lines that say what they are."""
    detection, target = wrong
    outlines = [Outline(_corners(detection["bbox"]), NEAREST)]
    shades = [Shade(decode(detection["segmentation"]), NEAREST)]
    beside = "no object near"
    if target is not None:
        outlines.append(Outline(_corners(target["bbox"]), OBJECT))
        shades.insert(0, Shade(decode(target["segmentation"]), OBJECT))
        overlap = coco_mask.iou([detection["segmentation"]], [target["segmentation"]], [0])[0, 0]
        beside = f"on {classes[target['category_id']]}, mask IoU {overlap:.2f}"
    about = f"{classes[detection['category_id']]}, score {detection['score']:.2f}"
    return _tile(closeup(picture, outlines, shades), about, beside)


def _tile(drawn: np.ndarray, above: str, below: str) -> np.ndarray:
    short = max(300 - drawn.shape[1], 0)  # room for the captions
    drawn = np.pad(drawn, ((0, 0), (0, short), (0, 0)), constant_values=255)
    return captioned(captioned(drawn, below), above)


def _corners(box: list[float]) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _nearest_line(missed: Missed, classes: list[str]) -> str:
    nearest = missed.lost.nearest
    if nearest is None:
        return "nothing near"
    text = f"IoU {nearest.iou:.2f}"
    if nearest.label is not None and nearest.label != missed.label:
        text = f"{classes[nearest.label]} {text}"
    if nearest.score is not None:
        text += f", score {nearest.score:.2f}"
    if missed.lost.bucket in ("mask", "shared"):
        text += f", mask {missed.mask_iou:.2f}"
    return text
