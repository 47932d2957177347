"""What several tiles see of one object, made one.

- What a tile may cut, and a neighbour sees with room on all sides, is the neighbour's.
- What no tile sees whole is joined from its parts: those of two tiles are of one object where their masks agree in the
  pixels that both tiles see.
- What two tiles see whole is kept once, the better.
"""

from collections.abc import Iterator

import numpy as np

from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.ops.paste import Crop
from maskrcnn.prediction.prediction import decode_crop

# Least IoU of two masks in the pixels that both tiles see. Two views of a small object differ that much.
AGREEMENT = 0.3
ENCODED = 1000  # masks that are encoded at once, which bounds the memory that they take as bitmaps


def merge_tiles(found: list[list[Result]], windows: np.ndarray, size: tuple[int, int], margin: int) -> list[Result]:
    """Results of tiles as those of their picture.

    Args:
        found: results of each tile, in its own frame.
        windows: [tiles, 4] int64, left, top, right and bottom of each in the picture.
        size: height and width of the picture.
        margin: pixels; what comes nearer to a border of its tile may go on beyond it, and what keeps twice as far from
            all of them is surely whole. In between, a tile's word does not count against another's, as two of them
            see the borders of an object differently.

    Returns:
        Results in the frame of the picture, best first.
    """
    pieces = _Pieces(found, windows, size, margin)
    kept = ~pieces.seen_better()
    group_of = {i: [i] for i in np.flatnonzero(kept).tolist()}
    for i, j in _same_objects(pieces, kept):
        if group_of[i] is not group_of[j]:
            group_of[i] += group_of[j]
            group_of.update(dict.fromkeys(group_of[j], group_of[i]))
    groups = [group for i, group in group_of.items() if i == group[0]]
    merged: list[Result] = []
    for start in range(0, len(groups), ENCODED):
        joined = [pieces.join(np.array(group)) for group in groups[start : start + ENCODED]]
        masks = encode_crops([crop for _, crop in joined], size)
        for (result, _), result["segmentation"] in zip(joined, masks):
            merged.append(result)
    return sorted(merged, key=lambda result: -result["score"])


class _Pieces:
    """What was found in all tiles, in the frame of the picture. Arguments as of `merge_tiles`."""

    def __init__(self, found: list[list[Result]], windows: np.ndarray, size: tuple[int, int], margin: int) -> None:
        self.results = [result for tile in found for result in tile]
        self.tile = np.repeat(np.arange(len(found)), [len(tile) for tile in found])
        self.windows = windows
        boxes = np.array([result["bbox"] for result in self.results], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        self.boxes = boxes + np.tile(windows[self.tile, :2], 2)
        self.labels = np.array([result["category_id"] for result in self.results], np.int64)
        # Towards less: how far a border of a tile is pulled in. The picture's own borders cut nothing.
        inwards = np.array([1, 1, -1, -1])
        inwards = np.where(windows == np.array([0, 0, size[1], size[0]]), 0, inwards)
        self.sure = windows + 2 * margin * inwards
        self.cut = ~_inside(self.boxes, (windows + margin * inwards)[self.tile])

    def seen_better(self) -> np.ndarray:
        """[n] bool: those that their tile may cut and that lie where another tile surely sees all there is."""
        better = np.zeros(len(self.results), bool)
        cut = np.flatnonzero(self.cut)
        for tile, sure in enumerate(self.sure):
            better[cut] |= (self.tile[cut] != tile) & _inside(self.boxes[cut], sure)
        return better

    def crop(self, i: int) -> Crop:
        """The mask of one, in the picture."""
        values, top, left = decode_crop(self.results[i]["segmentation"])
        x, y = self.windows[self.tile[i], :2].tolist()
        return Crop(values, top + y, left + x)

    def join(self, group: np.ndarray) -> tuple[Result, Crop]:
        """One result, and its mask, of the members [n] of a group: the best, or all together if a tile may cut any."""
        best = max(group.tolist(), key=lambda i: self.results[i]["score"])
        group = group if self.cut[group].any() else np.array([best])
        x1, y1 = self.boxes[group, :2].min(axis=0).tolist()
        x2, y2 = self.boxes[group, 2:].max(axis=0).tolist()
        crops = [self.crop(i) for i in group.tolist()]
        hull = _hull(crops)
        mask = np.zeros((hull[3] - hull[1], hull[2] - hull[0]), bool)
        for crop in crops:
            mask |= _within(crop, hull)
        result = self.results[best].copy()
        result["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        return result, Crop(mask, hull[1], hull[0])


def _same_objects(pieces: _Pieces, kept: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of pieces from two tiles that are of one object; each has at most one partner in another tile."""
    members = [np.flatnonzero(kept & (pieces.tile == tile)) for tile in range(len(pieces.windows))]
    for a, window in enumerate(pieces.windows):
        for b in np.flatnonzero(_meet(window, pieces.windows[a + 1 :])) + a + 1:
            shared = _overlap(window, pieces.windows[b])
            ours = members[a][_meet(shared, pieces.boxes[members[a]])]
            theirs = members[b][_meet(shared, pieces.boxes[members[b]])]
            pairs = []
            for i in ours:
                for j in theirs[_meet(pieces.boxes[i], pieces.boxes[theirs])]:
                    area, agreement = _agree(pieces.crop(i), pieces.crop(j), shared.tolist())
                    if agreement >= AGREEMENT:
                        pairs.append((pieces.labels[i] == pieces.labels[j], area, i, j))
            taken: set[int] = set()
            for _, _, i, j in sorted(pairs, key=lambda pair: pair[:2], reverse=True):
                if not {i, j} & taken:
                    taken |= {i, j}
                    yield int(i), int(j)


def _agree(a: Crop, b: Crop, window: list[int]) -> tuple[int, float]:
    """Pixels that two masks share within a window, and their IoU there."""
    left, top, right, bottom = _hull([a, b])
    window = [max(window[0], left), max(window[1], top), min(window[2], right), min(window[3], bottom)]
    first, second = _within(a, window), _within(b, window)
    shared = int((first & second).sum())
    return shared, shared / max(int((first | second).sum()), 1)


def _within(crop: Crop, window: list[int]) -> np.ndarray:
    """The part of a mask in a window of the picture, as a bitmap of that window."""
    left, top, right, bottom = window
    bitmap = np.zeros((max(bottom - top, 0), max(right - left, 0)), bool)
    height, width = crop.values.shape
    y1, y2 = max(top, crop.top), min(bottom, crop.top + height)
    x1, x2 = max(left, crop.left), min(right, crop.left + width)
    if y1 < y2 and x1 < x2:
        values = crop.values[y1 - crop.top : y2 - crop.top, x1 - crop.left : x2 - crop.left]
        bitmap[y1 - top : y2 - top, x1 - left : x2 - left] = values
    return bitmap


def _hull(crops: list[Crop]) -> list[int]:
    """The smallest window that holds all crops."""
    tops, lefts = [crop.top for crop in crops], [crop.left for crop in crops]
    rights = [crop.left + crop.values.shape[1] for crop in crops]
    return [min(lefts), min(tops), max(rights), max(crop.top + crop.values.shape[0] for crop in crops)]


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])])


def _inside(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Whether boxes [n, 4] lie in windows [n, 4] or [4]."""
    within = np.concatenate([boxes[:, :2] >= windows[..., :2], boxes[:, 2:] <= windows[..., 2:]], axis=1)
    return np.asarray(within.all(axis=1))


def _meet(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether a box [4] shares an area with each of some others [n, 4]."""
    meeting = np.concatenate([boxes[:, :2] < box[2:], boxes[:, 2:] > box[:2]], axis=1)
    return np.asarray(meeting.all(axis=1))
