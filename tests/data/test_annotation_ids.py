"""Objects of records found again in their annotation file."""

import json
from pathlib import Path

import numpy as np

from maskrcnn.data.annotation_ids import annotation_ids
from maskrcnn.data.records import Instances, Record
from maskrcnn.data.source import Split, Splits


def instances(*boxes: list[float]) -> Instances:
    count = len(boxes)
    return Instances(np.zeros(count, np.int64), np.array(boxes).reshape(-1, 4), np.ones(count), [b""] * count)


def test_objects_have_the_ids_of_their_file(tmp_path: Path) -> None:
    sources, records = [], []
    for name in ("a", "b"):  # of a mixture, whose ids collide
        file = tmp_path / f"{name}.json"
        box, other = ([1, 2, 3.5, 4], [5, 6, 7, 8]) if name == "a" else ([5, 6, 7, 8], [1, 2, 3.5, 4])
        content = {
            "images": [{"id": 7, "file_name": "x.png"}, {"id": 8, "file_name": "y.png"}],
            "annotations": [
                {"id": 30, "image_id": 7, "bbox": box},
                {"id": 31, "image_id": 8, "bbox": other},
                {"id": 32, "image_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1},
                {"id": 33, "image_id": 7},
                {"id": 35, "image_id": 7, "bbox": ["5", 6, 7, 8]},  # no numbers: read with the mask's box
                {"id": 34, "image_id": 7, "bbox": other},
            ],
            "categories": [],
        }
        file.write_text(json.dumps(content))
        sources.append(Splits(Split(tmp_path / name, file), None))
        objects = instances([5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.5, 4.0], [0.0, 0.0, 9.0, 9.0])
        records.append(Record(f"{name}/7", "x.png", tmp_path / name / "x.png", 9, 9, objects, instances()))
    records.append(Record("b/8", "y.png", tmp_path / "b" / "y.png", 9, 9, instances(), instances()))
    assert annotation_ids(sources, records) == [[34, 30, None], [30, 34, None], []]
