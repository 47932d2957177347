"""How the time of Mask R-CNN on a CPU grows with the size of pictures, their objects, and pictures at a time.

    python benchmarks/scaling.py [quick]

ResNet-50-FPN as in benchmarks/cpu.py: a training step and inference, one number changed at a time, and batches of two
read by several processes from JPEG files of COCO's size (benchmarks/data.py). Prints a line each, and writes
benchmarks/results/scaling.json; `quick` uses tiny pictures, the ends of the other scales, and writes nothing.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from arguments import is_quick
from cpu import make_step
from cpu_timing import peak_mb, seconds
from data import open_dataset, write_dataset
from torch.utils.data import DataLoader
from workload import OBJECTS, PROPOSALS, calibrate, make_batch, make_model, total

from maskrcnn.engine.detector import detect

Size = tuple[int, int]
SIZES: list[Size] = [(160, 224), (320, 416), (480, 640), (600, 800), (800, 1333)]
SIZE: Size = (320, 416)


def training(size: Size, objects: int, images: int, times: int) -> dict[str, Any]:
    """A step, with 32 mask slots a picture."""
    batch = make_batch(images, *size, objects, max(32, -(-objects // 32) * 32))
    model = make_model(f"model.sampler.mask_slots={32 * images}", f"model.rpn.train_post_nms={PROPOSALS}")
    calibrate(model, lambda: model.extract(model.normalise(batch.images[:1], batch.image_sizes[:1])))
    step = make_step(model, lambda: total(model(batch)))
    return {"seconds": seconds(step, times), "MB": peak_mb(step)}


def inference(size: Size, images: int, times: int) -> dict[str, Any]:
    """Detections, with the masks of all 100 slots."""
    batch = make_batch(images, *size)
    model = make_model("model.box_head.score_threshold=0.0").eval()
    calibrate(model, lambda: model.extract(model.normalise(batch.images[:1], batch.image_sizes[:1])))

    def work() -> None:
        detect(model, batch.images, batch.image_sizes)

    return {"seconds": seconds(work, times), "MB": peak_mb(work)}


def loading(workers: int, folder: Path, pictures: int) -> dict[str, Any]:
    """Pictures a second after the first batch, in batches of two at the sizes of augmentation=multiscale."""
    dataset, collate = open_dataset(folder, "multiscale")
    batches = [[(epoch, index, 0), (epoch, index + 1, 0)] for epoch in range(4) for index in range(0, pictures, 2)]
    loader = iter(DataLoader(dataset, batch_sampler=batches, num_workers=workers, collate_fn=collate))
    next(loader)
    start = time.perf_counter()
    count = 2 * sum(1 for _ in loader)
    return {"pictures/s": round(count / (time.perf_counter() - start), 1)}


def measure(quick: bool, folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The scale, the place on it, and what was found there."""
    sizes, base = ([(64, 96)], (64, 96)) if quick else (SIZES, SIZE)
    ends, times = (slice(None, None, 2), 1) if quick else (slice(None), 3)
    for size in sizes:
        yield "training, 2 pictures", f"{size[0]} x {size[1]}", training(size, OBJECTS, 2, times)
    for objects in (1, OBJECTS, 200)[ends]:
        yield (
            f"training, 2 pictures of {base[0]} x {base[1]}",
            f"{objects} objects each",
            training(base, objects, 2, times),
        )
    for images in (1, 2, 4)[ends]:
        yield f"training, {base[0]} x {base[1]}", f"{images} pictures", training(base, OBJECTS, images, times)
    for size in sizes:
        yield "inference, 1 picture", f"{size[0]} x {size[1]}", inference(size, 1, times)
    for images in (2, 3, 4)[ends]:
        yield f"inference, {base[0]} x {base[1]}", f"{images} pictures", inference(base, images, times)
    pictures = 2 if quick else 32
    write_dataset(folder, pictures, 480, 640)
    for workers in (0, 1, 2)[ends]:
        yield "loading, 640 x 480 to multiscale", f"{workers} processes", loading(workers, folder, pictures)


def main() -> None:
    quick = is_quick()
    results: dict[str, Any] = {
        "hardware": f"{platform.machine()}, {torch.get_num_threads()} threads, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        for scale, place, found in measure(quick, Path(folder)):
            results.setdefault(scale, {})[place] = found
            print(f"{scale}; {place}: {json.dumps(found)}", flush=True)
    if not quick:
        (Path(__file__).parent / "results" / "scaling.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
