"""Instances found in one picture."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from maskrcnn.data.rle import count_pixels, decode_window
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import Rle, decode
from maskrcnn.ops.paste import Crop
from maskrcnn.visualize.instances import Instances

NAMED = 5  # instances that a notebook shows of one; their masks are long texts


def decode_crop(rle: Rle) -> Crop:
    """An encoded mask within its own box; an empty crop if it has no pixel."""
    counts = rle["counts"].encode("ascii")
    if count_pixels([counts])[1][0] == 0:
        return Crop(np.zeros((0, 0), bool), 0, 0)
    window, left, top = decode_window(counts, rle["size"][0])
    return Crop(window.view(bool), top, left)


@dataclass(frozen=True, repr=False)
class Prediction:
    """Instances found in one picture, best first. Masks are kept encoded, so that many fit of a large picture."""

    size: tuple[int, int]  # height and width of the picture
    classes: list[str]  # name of each label
    results: list[Result]  # in COCO's format, category_id = label

    def __repr__(self) -> str:
        best = [f"{name} {score:.2f}" for name, score in zip(self.names[:NAMED], self.scores)]
        more = ["..."] if len(self.results) > NAMED else []
        found = f"{len(self.results)} instances in {self.size[0]} x {self.size[1]} pixels"
        return f"Prediction({': '.join([found, ', '.join(best + more)] if best else [found])})"

    @cached_property
    def boxes(self) -> np.ndarray:
        """[n, 4] float64, x1, y1, x2, y2 in pixels of the picture."""
        boxes = np.array([result["bbox"] for result in self.results], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return boxes

    @cached_property
    def scores(self) -> np.ndarray:
        """[n] float64, 0..1."""
        return np.array([result["score"] for result in self.results], np.float64)

    @cached_property
    def labels(self) -> np.ndarray:
        """[n] int64, 0..K-1."""
        return np.array([result["category_id"] for result in self.results], np.int64)

    @cached_property
    def names(self) -> list[str]:
        """The class of each."""
        return [self.classes[label] for label in self.labels]

    @cached_property
    def masks(self) -> np.ndarray:
        """[n, h, w] bool. Of large pictures with many instances this takes much memory; `crops` does not."""
        masks = [decode(result["segmentation"]) for result in self.results]
        return np.stack(masks) if masks else np.zeros((0, *self.size), bool)

    def crops(self) -> list[Crop]:
        """The masks, each within its own box."""
        return [decode_crop(result["segmentation"]) for result in self.results]

    def instances(self) -> Instances:
        """As they are drawn."""
        return Instances(self.boxes, self.labels, self.scores, self.crops())
