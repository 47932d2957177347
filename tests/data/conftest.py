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
from maskrcnn.data.source import CocoSource, Split

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


@pytest.fixture
def write_set(tmp_path: Path) -> Callable[..., CocoSource]:
    """Writes a data set below `tmp_path`: pictures of noise, each with squares of the classes that are named for it.

    Pictures are called 0.png, 1.png, ..., have the ids 100, 101, ...; the first and every third is higher than wide.
    The categories are those that are named, by alphabet, with ids from `first_id` on. `val` names the classes in each
    validation picture; without, there is no validation part.
    """

    def write_part(file: Path, named: list[list[str]], classes: list[str], first_id: int) -> None:
        file.with_suffix("").mkdir(parents=True)
        images, annotations = [], []
        for i, names in enumerate(named):
            height, width = (40, 30) if i % 3 == 0 else (30, 40)
            images.append({"id": 100 + i, "file_name": f"{i}.png", "height": height, "width": width})
            noise = np.random.default_rng(i).integers(256, size=(height, width, 3), dtype=np.uint8)
            cv2.imwrite(str(file.with_suffix("") / f"{i}.png"), noise)
            for k, name in enumerate(names):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": 100 + i,
                        "category_id": first_id + classes.index(name),
                        "segmentation": [[k, k, k + 9, k, k + 9, k + 9, k, k + 9]],
                        "iscrowd": 0,
                        "bbox": [k, k, 9, 9],
                        "area": 81,
                    }
                )
        categories = [{"id": first_id + k, "name": name} for k, name in enumerate(classes)]
        dataset = {"images": images, "annotations": annotations, "categories": categories}
        file.write_text(json.dumps(dataset))

    def write_parts(
        name: str, train: list[list[str]], val: list[list[str]] | None = None, first_id: int = 1
    ) -> CocoSource:
        classes = sorted({one for names in train for one in names})
        write_part(tmp_path / name / "train.json", train, classes, first_id)
        if val is not None:
            write_part(tmp_path / name / "val.json", val, classes, first_id)
        return CocoSource(
            train_images=f"{name}/train",
            train_annotations=f"{name}/train.json",
            val_images=None if val is None else f"{name}/val",
            val_annotations=None if val is None else f"{name}/val.json",
        )

    return write_parts
