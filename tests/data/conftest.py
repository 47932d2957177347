"""A small shapes data set, drawn once, and a COCO data set of two pictures that tests may spoil."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from maskrcnn.data.shapes import ShapesSource
from maskrcnn.data.source import Split

TINY: dict[str, Any] = {
    "images": [
        {"id": 10, "file_name": "a.png", "height": 20, "width": 30},
        {"id": 7, "file_name": "b.png", "height": 20, "width": 30},
    ],
    "categories": [{"id": 9, "name": "dog"}, {"id": 3, "name": "cat"}],
    "annotations": [
        {  # a square of 4 x 4 pixels
            "id": 5,
            "image_id": 10,
            "category_id": 9,
            "segmentation": [[2, 3, 6, 3, 6, 7, 2, 7]],
            "bbox": [2, 3, 4, 4],
            "area": 16,
            "iscrowd": 0,
        },
        {
            "id": 6,
            "image_id": 10,
            "category_id": 3,
            "segmentation": {"size": [20, 30], "counts": [41, 5, 554]},
            "bbox": [2, 1, 1, 5],
            "area": 5,
            "iscrowd": 1,
        },
    ],
}


@pytest.fixture(scope="session")
def shapes_source() -> ShapesSource:
    return ShapesSource(train_pictures=40, val_pictures=10, train_seed=5, val_seed=4)  # train has a crowd


@pytest.fixture(scope="session")
def shapes_root(tmp_path_factory: pytest.TempPathFactory, shapes_source: ShapesSource) -> Path:
    root = tmp_path_factory.mktemp("data") / "shapes"
    shapes_source.prepare(root)
    return root


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A good data set of two pictures, one of them without objects, to be changed at will."""
    return copy.deepcopy(TINY)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Split]:
    """Writes a data set and two black pictures of 20 x 30 pixels."""

    def write_dataset(dataset: dict[str, Any]) -> Split:
        for name in ("a.png", "b.png"):
            cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
        (tmp_path / "annotations.json").write_text(json.dumps(dataset))
        return Split(tmp_path, tmp_path / "annotations.json")

    return write_dataset
