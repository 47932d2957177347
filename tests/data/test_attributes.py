"""What annotation files say beyond what is learnt."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.attributes import read_attributes
from maskrcnn.data.source import Split


def test_entries_come_by_the_ids_of_the_ground_truth(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Split]
) -> None:
    """An unusable annotation before the others shifts their ids, two have the same box, and two have none."""
    square = tiny["annotations"][0]
    tiny["images"][0]["site"] = "A"
    tiny["annotations"] = [
        {**square, "id": 1, "segmentation": [[1, 1, 2]], "bbox": [1, 1, 1, 1], "mark": "unusable"},
        {**tiny["annotations"][1], "mark": "crowd"},
        {**square, "id": 2, "bbox": [2, 3, 4, 3], "mark": "first"},
        {**square, "id": 3, "bbox": [2, 3, 4, 3], "mark": "second", "attributes": {"occluded": True}},
        {**square, "id": 4, "bbox": None, "mark": "no box"},
        {**square, "id": 5, "bbox": [[2], 3, 4, 3], "mark": "no numbers"},
        {**square, "id": 8, "image_id": 7, "mark": "other picture"},
    ]
    split = write(tiny)
    annotations = read_annotations(split)
    found = read_attributes([split], annotations.records)
    truth = annotations.ground_truth()["annotations"]
    marks = [(a["iscrowd"], found.objects.get(a["id"], {}).get("mark")) for a in truth]
    assert marks == [(0, "first"), (0, "second"), (0, None), (0, None), (1, "crowd"), (0, "other picture")]
    assert found.objects[2]["attributes"] == {"occluded": True} and "segmentation" not in found.objects[2]
    assert [found.pictures[i].get("site") for i in (0, 1)] == ["A", None]
    assert json.loads(Path(split.annotations).read_text())["images"][0]["id"] == found.pictures[0]["id"]
    assert {id_: entry["name"] for id_, entry in found.categories.items()} == {9: "dog", 3: "cat"}
