"""Annotated objects as arrays to draw."""

from maskrcnn.data.records import Record
from maskrcnn.evaluation.rle import Rle, decode
from maskrcnn.visualize.instances import Instances


def truth_of(record: Record) -> Instances:
    """The annotated objects of a picture, without crowd regions."""
    objects = record.objects
    boxes = objects.boxes.copy()
    boxes[:, 2:] += boxes[:, :2]
    size = [record.height, record.width]
    masks = [decode(Rle(size=size, counts=mask.decode("ascii"))) for mask in objects.masks]
    return Instances(boxes, objects.labels, None, masks)
