"""What a configuration says of how it will use the data."""

from typing import NamedTuple

from maskrcnn.data.resize import Sizing
from maskrcnn.inspection.anchors import Shapes
from maskrcnn.inspection.pixels import Reader


class Limits(NamedTuple):
    """Sizes, caps and anchors."""

    resize: Sizing
    read: Reader
    object_slots: int  # the largest of data.object_slots
    detections: int  # model.box_head.max_detections
    shapes: Shapes  # of the anchors
    strides: tuple[int, ...]
