"""The ids that annotations have in their files, which records do not keep."""

from pathlib import Path

from maskrcnn.data.coco_file import read_json
from maskrcnn.data.entries import is_box
from maskrcnn.data.records import Record
from maskrcnn.data.source import Splits

Id = int | str


def annotation_ids(sources: list[Splits], records: list[Record]) -> list[list[Id | None]]:
    """The id of each object of some training pictures; None for a box that is not in the file as it was read, such as
    one that was taken from the mask. Of several with the same box it is the first's.

    Reads the annotation files whole: meant for the moment when something went wrong.

    Args:
        sources: where the data sets lie; records: the pictures.
    """
    boxes: dict[Path, dict[tuple[float, ...], Id | None]] = {record.path: {} for record in records}
    for source in sources:
        content = read_json(source.train.annotations)
        paths = {entry["id"]: source.train.images / entry["file_name"] for entry in content["images"]}
        for entry in content["annotations"]:
            of_picture = boxes.get(paths[entry["image_id"]])
            if of_picture is not None and not entry.get("iscrowd") and is_box(entry.get("bbox")):
                of_picture.setdefault(tuple(entry["bbox"]), entry.get("id"))
    return [[boxes[record.path].get(tuple(box)) for box in record.objects.boxes.tolist()] for record in records]
