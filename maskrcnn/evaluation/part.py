"""Results of some pictures and how they match, made in whatever process."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from maskrcnn.evaluation.predictions import Predictions
from maskrcnn.evaluation.results import Result, coco_results
from maskrcnn.evaluation.stream import Matcher, Streams
from maskrcnn.ops.paste import Convention
from maskrcnn.structures import Detections


class Part(NamedTuple):
    """What is known of some pictures; it pickles."""

    predictions: Predictions
    matches: list[Streams]  # of these; empty where all are matched at the end


def make_part(predictions: Mapping[int, list[Result]], matcher: Matcher | None) -> Part:
    """The results of pictures by image id, as `coco_results` returns them, and their matches if there is a matcher."""
    return Part(Predictions(predictions), [matcher.match(predictions)] if matcher and predictions else [])


def find_part(
    detections: Detections,
    image_sizes: Tensor,
    original_sizes: Tensor,
    indices: Tensor,
    *,
    paste: Convention,
    matcher: Matcher | None,
) -> Part:
    """The part of a batch, of which `coco_results` takes the rest."""
    return make_part(coco_results(detections, image_sizes, original_sizes, indices, paste=paste), matcher)
