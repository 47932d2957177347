"""What annotation files say of pictures and objects beyond what is learnt, such as a site or a difficulty."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from maskrcnn.data.coco_file import read_json
from maskrcnn.data.entries import is_box
from maskrcnn.data.records import Record
from maskrcnn.data.source import Split


class FileAttributes(NamedTuple):
    """The entries of annotation files by the ids that `CocoAnnotations.ground_truth` issues."""

    pictures: dict[int, dict[str, Any]]
    objects: dict[int, dict[str, Any]]
    categories: dict[int, dict[str, Any]]  # by their own ids; of an id in several files, the last one's


def read_attributes(splits: Sequence[Split], records: Sequence[Record]) -> FileAttributes:
    """Reads the files once more, for what records do not keep.

    Args:
        splits: the files that the records were read from; records: pictures, in the order of the ground truth.

    Returns:
        The entries, without their masks. An annotation whose box is not in the file as it was read, such as one that
        was taken from the mask, has none.
    """
    entries: dict[Path, dict[str, Any]] = {}
    boxes: dict[tuple[Path, tuple[float, ...]], list[dict[str, Any]]] = {}
    categories: dict[int, dict[str, Any]] = {}
    for split in splits:
        content = read_json(split.annotations)
        paths = {entry["id"]: split.images / entry["file_name"] for entry in content["images"]}
        categories |= {entry["id"]: entry for entry in content["categories"]}
        entries |= {paths[entry["id"]]: entry for entry in content["images"]}
        for entry in content["annotations"]:
            if is_box(entry.get("bbox")):
                del entry["segmentation"]
                boxes.setdefault((paths[entry["image_id"]], tuple(entry["bbox"])), []).append(entry)
    pictures, objects, number = {}, {}, 0
    for index, record in enumerate(records):
        pictures[index] = entries[record.path]
        for instances in (record.objects, record.crowds):
            for box in instances.boxes.tolist():
                number += 1
                same = boxes.get((record.path, tuple(box)))
                if same:
                    objects[number] = same.pop(0) if len(same) > 1 else same[0]
    return FileAttributes(pictures, objects, categories)
