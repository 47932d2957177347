import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from maskrcnn.config.build import build
from maskrcnn.config.check import check_nodes
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.groups import CONF
from maskrcnn.data.collate import Collate
from maskrcnn.data.transforms import Sample

DATA = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))
AUGMENTATIONS = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml"))


@functools.cache
def load(data: str, augmentation: str) -> dict[str, Any]:
    config = to_plain(compose([f"data={data}", f"augmentation={augmentation}"]))["data"]
    return fill(config)


def fill(value: Any) -> Any:
    """What the user must give."""
    if isinstance(value, dict):
        return {key: fill(child) for key, child in value.items()}
    return "somewhere" if value == "???" else value


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_every_choice_fits_its_constructors(data: str, augmentation: str) -> None:
    node = load(data, augmentation)
    check_nodes(node, "data", [])
    made = build(node, [], "data")
    for name in ("seed", "shuffle", "batch_size", "val_batch_size", "workers", "group_by_aspect"):
        assert getattr(made, name) == node[name]
    assert (made.root, made.read.channels) == (Path(node["root"]), node["channels"])
    assert [list(canvas) for canvas in made.collate.canvases] == sorted(node["canvases"], key=lambda c: c[0] * c[1])


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_pictures_of_any_shape_find_a_canvas(data: str, augmentation: str) -> None:
    node = load(data, augmentation)
    resize = build(node["resize"], [])
    collate = Collate(node["canvases"], node["object_slots"])
    sides = (10, 500, 1000, 5000)
    shapes = [(192, 256), (256, 192)] if data == "shapes" else [(h, w) for h in sides for w in sides]
    rng = default_rng(0)
    for height, width in shapes:
        views = [resize.view(height, width, None), *(resize.view(height, width, rng) for _ in range(20))]
        largest = np.max([side for view in views for side in (view.size, view.canvas)], axis=0)
        image = np.zeros((*largest, 3), np.uint8)
        masks, mask_sizes = np.zeros((0, 112, 112)), np.zeros((0, 2))
        sample = Sample(image, np.zeros((0, 4)), np.zeros(0), masks, mask_sizes, (1, 1), 0, 0)
        canvas = collate([sample]).images.shape[2:]
        assert canvas[0] >= largest[0]
        assert canvas[1] >= largest[1]
