"""The data path of training on one core: pictures per second beside the bare decode and resize, and what objects cost.

    python benchmarks/data.py [quick]

Pictures of COCO's size (640 x 480 in JPEG files of 60 to 120 kB, 7 polygons each) at the sizes of
augmentation=multiscale: read and resized alone (the floor), as samples of the data set, and as batches of two. Then
pictures of 512 x 512 as samples with 375 objects and with 5: from a PNG file as in training, and from memory, which
leaves only augmentation and resize besides the objects. The kinds take turns, round by round, because a machine's speed
drifts: "times the seconds of" gives quartiles, over the rounds, of ratios within a round. Prints its findings; at full
size it writes benchmarks/results/data.json too. `quick` uses fewer and smaller pictures, and writes nothing.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from arguments import is_quick
from pycocotools import mask as coco_mask

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.data.collate import Collate
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.dataset import InstanceDataset
from maskrcnn.data.records import Instances, Record
from maskrcnn.data.transforms import Sample, make_sample, sample_seed

OBJECTS, FEW, MANY = 7, 5, 375
AUGMENTATIONS = ("flip", "dihedral", "microscopy")
POINTS = 25  # of a polygon


def draw_picture(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random fields with edges and a little noise [height, width, 3] uint8: as large in JPEG as photographs."""
    picture = np.zeros((height, width, 3), np.float32)
    for cell, strength in ((160, 60), (40, 30), (10, 16)):
        field = rng.normal(0, strength, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        picture += cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 7, (height, width, 1)).astype(np.float32)
    return np.clip(128 + picture + noise, 0, 255).astype(np.uint8)


def draw_polygon(x: float, y: float, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A star-like polygon [POINTS, 2] around a point."""
    angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    reach = radius * rng.uniform(0.6, 1, POINTS)
    return np.stack((x + reach * np.cos(angles), y + reach * np.sin(angles)), axis=1)


def write_dataset(root: Path, pictures: int, height: int, width: int) -> list[int]:
    """Writes pictures and their annotations; returns the bytes of each picture's file."""
    rng = np.random.default_rng(0)
    (root / "train").mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []

    def write_picture(i: int) -> int:
        file = root / "train" / f"{i:012d}.jpg"
        picture = draw_picture(height, width, np.random.default_rng((1, i)))
        cv2.imwrite(str(file), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        return file.stat().st_size

    with ThreadPoolExecutor() as pool:
        sizes = list(pool.map(write_picture, range(pictures)))
    for i in range(pictures):
        images.append({"id": i, "file_name": f"{i:012d}.jpg", "height": height, "width": width})
        for _ in range(OBJECTS):
            radius = float(np.exp(rng.normal(3.6, 0.8)).clip(8, 200)) * height / 480
            polygon = draw_polygon(rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height, radius, rng)
            x, y = polygon.clip(0, (width, height)).T
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": 0,
                    "segmentation": [np.stack((x, y), axis=1).ravel().round(2).tolist()],
                    "bbox": np.round([x.min(), y.min(), np.ptp(x), np.ptp(y)], 2).tolist(),
                    "area": round(float(np.ptp(x) * np.ptp(y)) / 2, 2),
                    "iscrowd": 0,
                }
            )
    content = {"images": images, "categories": [{"id": 0, "name": "thing"}], "annotations": annotations}
    (root / "train.json").write_text(json.dumps(content))
    return sizes


def open_dataset(root: Path, augmentation: str) -> tuple[InstanceDataset, Collate]:
    """The data set and the collate function that training would use."""
    paths = ["train_images=train", "train_annotations=train.json", "val_images=train", "val_annotations=train.json"]
    overrides = ["data=coco_custom", f"augmentation={augmentation}", f"data.root={root}", "data.workers=0"]
    config = to_plain(compose(overrides + [f"data.source.{path}" for path in paths]))["data"]
    module: CocoDataModule = build(config, [], "data")
    module.prepare_data()
    module.setup()
    dataset = module.train_dataloader().dataset
    assert isinstance(dataset, InstanceDataset)
    return dataset, module.collate


def seconds_in_turns(kinds: dict[str, Callable[[int], object]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds [rounds] of each kind of work, which is given the number of the round; one round more comes before."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(-1, rounds):
        for name, work in kinds.items():
            start = time.perf_counter()
            work(number % rounds)
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def measure_files(folder: Path, pictures: int, height: int, width: int, rounds: int) -> dict[str, Any]:
    """Pictures per second from files to batches; a round is one pass over all pictures, at sizes of its own."""
    sizes = write_dataset(folder, pictures, height, width)
    dataset, collate = open_dataset(folder, "multiscale")
    counts = {"objects": 0, "samples": 0}

    def sized(epoch: int, index: int) -> tuple[int, int]:
        sample = dataset[epoch, index, 0]
        counts["objects"] += len(sample.labels)
        counts["samples"] += 1
        return sample.image.shape[0], sample.image.shape[1]

    drawn = [[sized(epoch, index) for index in range(pictures)] for epoch in range(rounds)]
    paths = [record.path for record in dataset.annotations.records]

    def floor(epoch: int) -> None:
        for path, size in zip(paths, drawn[epoch]):
            cv2.resize(cv2.imread(str(path)), size[::-1], interpolation=cv2.INTER_LINEAR)

    def samples(epoch: int) -> None:
        for index in range(pictures):
            dataset[epoch, index, 0]

    def batches(epoch: int) -> None:
        for index in range(0, pictures, 2):
            collate([dataset[epoch, index, 0], dataset[epoch, index + 1, 0]])

    seconds = seconds_in_turns({"decode and resize": floor, "samples": samples, "batches of 2": batches}, rounds)
    results: dict[str, Any] = {
        "kB of a picture": round(float(np.mean(sizes)) / 1e3, 1),
        "objects seen a picture": counts["objects"] / counts["samples"],
    }
    for name, values in seconds.items():
        results[f"pictures per second, {name}"] = round(pictures / float(np.median(values)), 1)
    for name in ("samples", "batches of 2"):
        results[f"{name}: times the seconds of decode and resize"] = quartiles(
            seconds[name] / seconds["decode and resize"]
        )
    return results


def quartiles(values: np.ndarray) -> list[float]:
    """A quarter of the values is below the first, half below the second, three quarters below the third."""
    return [round(float(value), 3) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def make_record(size: int, count: int, rng: np.random.Generator) -> Record:
    """Objects that look like nuclei, in the places of a grid of MANY, some of which overlap."""
    side = int(np.ceil(np.sqrt(MANY)))
    masks = []
    for place in rng.choice(MANY, count, replace=False):
        x, y = (np.array([place % side, place // side]) + rng.uniform(0.3, 0.7, 2)) * size / side
        polygon = draw_polygon(x, y, 0.5 * size / side, rng).clip(0, size)
        masks.append(coco_mask.frPyObjects([polygon.ravel().tolist()], size, size)[0]["counts"])
    none = Instances(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), [])
    objects = none._replace(labels=np.zeros(count, np.int64), masks=masks)
    return Record(0, "none.png", Path("none.png"), size, size, objects, none)


def measure_objects(folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """What MANY objects cost beside FEW; a round is one picture each, with the same randomness."""
    rng = np.random.default_rng(0)
    image = draw_picture(size, size, rng)
    file = folder / "picture.png"
    cv2.imwrite(str(file), image)
    records = {count: make_record(size, count, rng) for count in (FEW, MANY)}
    results: dict[str, Any] = {}
    for name in AUGMENTATIONS:
        dataset, _ = open_dataset(folder, name)

        def sample(count: int, stored: bool, epoch: int, dataset: InstanceDataset = dataset) -> Sample:
            seed = sample_seed(0, epoch, 0)
            pixels = dataset.read(file, (size, size)) if stored else image
            return make_sample(pixels, records[count], 0, seed, dataset.resize, dataset.augmentation)

        results[f"objects seen with {name}"] = [len(sample(count, True, 0).labels) for count in records]
        kinds = {
            f"{count} objects from {'a file' if stored else 'memory'}": partial(sample, count, stored)
            for stored in (True, False)
            for count in records
        }
        seconds = seconds_in_turns(kinds, rounds)
        for kind, values in seconds.items():
            results[f"ms of {name}, {kind}"] = round(1e3 * float(np.median(values)), 2)
        for place in ("a file", "memory"):
            ratios = seconds[f"{MANY} objects from {place}"] / seconds[f"{FEW} objects from {place}"]
            results[f"{name} from {place}: times the seconds of {FEW} objects"] = quartiles(ratios)
    return results


def main() -> None:
    quick = is_quick()
    pictures, height, width, size, rounds = (2, 240, 320, 256, 2) if quick else (16, 480, 640, 512, 25)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    results: dict[str, Any] = {"machine": f"{platform.machine()}, 1 of {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        results |= measure_files(Path(folder), pictures, height, width, rounds)
        results |= measure_objects(Path(folder), size, rounds)
    for key, value in results.items():
        print(f"{key}: {value}")
    if not quick:
        (Path(__file__).parent / "results" / "data.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
