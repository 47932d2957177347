"""What a configuration says of how it will use the data."""

from typing import NamedTuple

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import Sizing
from maskrcnn.inspection.anchors import Shapes


class Limits(NamedTuple):
    """Sizes, caps and anchors."""

    resize: Sizing
    read: PictureReader
    object_slots: int  # the largest of data.object_slots
    detections: int  # model.box_head.max_detections
    shapes: Shapes  # of the anchors
    strides: tuple[int, ...]
    scaled: bool  # whether anchors are made of model.anchors.scales and .ratios, which those of a user need not be
