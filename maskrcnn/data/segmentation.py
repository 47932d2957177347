"""The three forms of a mask in COCO's files, all turned into compressed run lengths."""

from functools import lru_cache
from typing import Any

from pycocotools import mask as coco_mask

from maskrcnn.data.rle import read_runs

FARTHEST = 1e5  # pixels; pycocotools walks along a polygon's edges, and one that leads far away takes all the memory


class Defect(ValueError):
    """A mask that cannot be read; the text is what kind of defect it is."""


def compress(segmentation: Any, height: int, width: int) -> tuple[bytes, int]:
    """Turns a `segmentation` of COCO's format into compressed run lengths.

    Args:
        segmentation: polygons (list of lists of x, y in continuous pixels), or {"size", "counts"} with plain or
            compressed run lengths.
        height, width: of the picture.

    Returns:
        The compressed run lengths, and how many polygons were left out because they had fewer than three points or were
        not lists of finite numbers.

    Raises:
        Defect: nothing is left of the mask.
    """
    if isinstance(segmentation, dict):
        return _compress_runs(segmentation, height, width), 0
    if not isinstance(segmentation, list):
        raise Defect("a segmentation that is neither polygons nor run lengths")
    if not segmentation or segmentation == [[]]:
        raise Defect("an empty segmentation")
    polygons = [polygon for polygon in segmentation if is_polygon(polygon)]
    if not polygons:
        raise Defect("no polygon of three or more points")
    parts = coco_mask.frPyObjects(polygons, height, width)
    counts: bytes = (parts[0] if len(parts) == 1 else coco_mask.merge(parts))["counts"]  # merging takes 6 us
    if counts == _no_pixel(height, width):
        raise Defect("a mask without a pixel inside the picture")
    return counts, len(segmentation) - len(polygons)


@lru_cache(maxsize=1024)
def _no_pixel(height: int, width: int) -> bytes:
    counts: bytes = coco_mask.frPyObjects({"size": [height, width], "counts": [height * width]}, height, width)[
        "counts"
    ]
    return counts


def is_polygon(polygon: Any) -> bool:
    """Whether it is a list of finite numbers, two for each of at least three points."""
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return False
    try:
        return max(polygon) < FARTHEST and min(polygon) > -FARTHEST and sum(polygon) == sum(polygon)  # NaN != NaN
    except TypeError:  # not numbers
        return False


def _compress_runs(segmentation: dict[str, Any], height: int, width: int) -> bytes:
    counts: Any = segmentation.get("counts")
    if segmentation.get("size") != [height, width]:
        raise Defect("run lengths of another size than the picture")
    if counts in (None, [], ""):
        raise Defect("an empty segmentation")
    try:
        if isinstance(counts, list):
            counts = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
        else:
            counts = bytes(counts, "ascii")
        runs, _ = read_runs([counts])
    except (ValueError, TypeError, OverflowError) as error:
        raise Defect("run lengths that do not decode") from error
    if runs.sum() != height * width:
        raise Defect("run lengths that do not decode")
    if runs[1::2].sum() == 0:
        raise Defect("a mask without a pixel inside the picture")
    return counts
