"""Pictures of lost objects with what came nearest to them, a sheet for each bucket."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

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
    places = np.unique(np.linspace(0, len(missed) - 1, min(MOST, len(missed))).round().astype(int))
    tiles = [draw_missed(missed[i][1], read(missed[i][0]), classes) for i in places.tolist()]
    width = max(tile.shape[1] for tile in tiles)
    tiles = [np.pad(tile, ((0, 0), (0, width - tile.shape[1]), (0, 0)), constant_values=255) for tile in tiles]
    sheet = contact_sheet(tiles, COLUMNS)
    short = max(760 - sheet.shape[1], 0)  # the legend's width
    sheet = np.pad(sheet, ((8, 0), (0, short), (0, 0)), constant_values=WHITE[0])
    legend = LEGEND + (", pink: what stands in its place" if any(one.lost.rival for _, one in missed) else "")
    save_png(path, captioned(captioned(sheet, legend), f"{bucket.title}: {len(tiles)} of {len(missed)}"))


def draw_missed(missed: Missed, picture: np.ndarray, classes: list[str]) -> np.ndarray:
    """A lost object and what came nearest, with two lines that say what they are."""
    x, y, width, height = missed.box
    outlines = [Outline([x, y, x + width, y + height], OBJECT)]
    for nearest, colour in ((missed.lost.nearest, NEAREST), (missed.lost.rival, RIVAL)):
        if nearest is not None:
            outlines.append(Outline(nearest.box, colour))
    shades = [Shade(decode(missed.segmentation), OBJECT)]
    if missed.lost.bucket in ("mask", "shared") and missed.mask is not None:
        shades.append(Shade(decode(missed.mask), NEAREST))
    drawn = closeup(picture, outlines, shades)
    short = max(300 - drawn.shape[1], 0)  # room for the captions
    drawn = np.pad(drawn, ((0, 0), (0, short), (0, 0)), constant_values=255)
    about = f"{classes[missed.label]}, {round(width)} x {round(height)} px, {size_of(missed.area)}"
    return captioned(captioned(drawn, _nearest_line(missed, classes)), about)


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
