from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.random import default_rng

from maskrcnn.config.build import build
from maskrcnn.config.check import check_nodes
from maskrcnn.data.collate import Collate
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.layers import Layers
from maskrcnn.data.resize import Resize
from maskrcnn.data.transforms import Augmentation, Sample

CONF = Path(__file__).parents[2] / "conf"
DATA = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))
AUGMENTATIONS = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml"))


def fill(value: Any) -> Any:
    """The values that other files or the user give."""
    if isinstance(value, dict):
        return {key: fill(child) for key, child in value.items()}
    return {"???": "somewhere", "${seed}": 0}.get(value, value) if isinstance(value, str) else value


def load(data: str, augmentation: str) -> dict[str, Any]:
    parts = [
        yaml.safe_load((CONF / group).read_text())
        for group in (f"data/{data}.yaml", f"augmentation/{augmentation}.yaml")
    ]
    return fill({**parts[0], **parts[1]})


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_every_choice_fits_its_constructors(data: str, augmentation: str) -> None:
    node = load(data, augmentation)
    check_nodes(node, "data", [])
    assert isinstance(build(node, [], "data"), CocoDataModule)


@pytest.mark.parametrize("data", DATA)
def test_pictures_of_any_shape_find_a_canvas(data: str) -> None:
    node = load(data, "none")
    resize = Resize(shortest=node["resize"]["shortest"], longest=node["resize"]["longest"])
    collate = Collate(node["canvases"], node["object_slots"])
    shapes = [(192, 256)] if data == "shapes" else [(h, w) for h in (10, 500, 1000, 5000) for w in (10, 500, 900, 5000)]
    samples = []
    for height, width in shapes:
        image = np.zeros((*resize.size(height, width, resize.shortest[-1]), 3), np.uint8)
        samples.append(Sample(image, np.zeros((0, 4)), np.zeros(0), np.zeros((0, 112, 112)), (1, 1), 0, 0, 0))
    height, width = collate(samples).images.shape[2:]
    assert height >= max(sample.image.shape[0] for sample in samples)
    assert width >= max(sample.image.shape[1] for sample in samples)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_every_augmentation_runs_and_varies(augmentation: str) -> None:
    transforms = build(load("shapes", augmentation)["transforms"], [])
    rng = default_rng(0)
    image = rng.integers(256, size=(30, 40, 3), dtype=np.uint8)
    layer = rng.integers(5, size=(30, 40), dtype=np.uint8)
    results = set()
    for seed in range(30):
        augmented, layers = Augmentation(transforms)(image, Layers([layer], [(0, 1)]), default_rng(seed))
        results.add(augmented.tobytes())
        assert np.bincount(layers.images[0].ravel()).tolist() == np.bincount(layer.ravel()).tolist()  # ids stay ids
    assert len(results) >= {"none": 1, "flip": 2}.get(augmentation, 15)
