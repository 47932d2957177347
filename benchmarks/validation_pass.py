"""What validation.py measures."""

import json
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from data import write_dataset
from evaluation import CELLS, DETECTIONS, draw_boxes, draw_masks
from gpu_run import overrides
from same_part import same_part
from torch import Tensor
from workload import calibrate

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.data.dataset import InstanceDataset
from maskrcnn.data.sampler import Address
from maskrcnn.data.transforms import Sample
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Detections

H100_MS, H100_CORES = 4.7, 16  # of a picture from a file (benchmarks/results/gpu.json), and the cores beside it
H200_MS = 2.9  # 14.3 s of 5,000 (docs/speed-gpu.md)
ROUNDS = 3  # at full size; else one

Detect = Callable[[Tensor, Tensor], Detections]


def same_detections(noise: bool) -> Detections:
    """What is found in every picture [DETECTIONS, ...]: objects of COCO's sizes, or noise all over its 480 x 640."""
    draw = np.random.default_rng(0)
    boxes = torch.from_numpy(draw_boxes(DETECTIONS, draw))
    masks = torch.from_numpy(draw_masks(DETECTIONS, draw))
    if noise:
        boxes = torch.tensor([0.0, 0.0, 640.0, 480.0]).expand(DETECTIONS, 4)
        coarse = torch.from_numpy(draw.random((1, DETECTIONS, 7, 7), np.float32))
        masks = torch.nn.functional.interpolate(coarse, (CELLS, CELLS), mode="bicubic")[0].clamp(0, 1)
    scores, labels = torch.linspace(1, 0.1, DETECTIONS), torch.zeros(DETECTIONS, dtype=torch.long)
    return Detections(boxes, scores, labels, masks, torch.ones(DETECTIONS, dtype=torch.bool))


def in_each(one: Detections, image_sizes: Tensor) -> Detections:
    """The same in all pictures of a batch."""
    each = Detections(*(value.expand(len(image_sizes), *value.shape).clone() for value in one))
    return each._replace(boxes=each.boxes * (image_sizes[:, :1, None] / 480))


def stand_in(one: Detections, ms: float) -> Detect:
    """A device that takes some milliseconds a picture.

    As on a GPU the host goes on meanwhile, and waits when it brings the next batch before this one has ended. So nobody
    waits for the last batch, neither in a pass nor in its inference alone.
    """
    free_at = 0.0

    def detect(images: Tensor, image_sizes: Tensor) -> Detections:
        nonlocal free_at
        time.sleep(max(free_at - time.perf_counter(), 0))
        free_at = time.perf_counter() + ms / 1000 * len(images)
        return in_each(one, image_sizes)

    return detect


class FindsObjects(RecordedDetect):
    """Works as the model does on a GPU, and gives objects of COCO's sizes in place of what random weights find."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Detections(*(value.cuda() for value in same_detections(noise=False)))

    def __call__(self, model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Detections:
        super().__call__(model, images, image_sizes)
        return in_each(self.one, image_sizes)


class SameSample(InstanceDataset):
    """A worker's first sample in place of all others."""

    first: Sample | None = None

    def __getitem__(self, address: Address) -> Sample:
        self.first = self.first or super().__getitem__(address)
        return replace(self.first, index=address[1])


@contextmanager
def beside_takes_no_time() -> Iterator[None]:
    """The processes beside this one do their work once; what they send and are sent stays as much."""
    with (
        patch("maskrcnn.data.datamodule.InstanceDataset", SameSample),
        patch("maskrcnn.engine.mean_ap.find_part", same_part),
    ):
        yield


def make_module(config: dict[str, Any], data: Any) -> MaskRCNNModule:
    """The model under Lightning, with statistics in its frozen norms."""
    model, optimizer, schedule = build([config["model"], config["optimizer"], config["schedule"]], [])
    module = MaskRCNNModule(model(1, 3), optimizer, schedule, config["loss_weights"], 1, 1, {}).eval()
    if torch.cuda.is_available():
        module.cuda()
        batch = next(iter(data.val_dataloader()))
        pictures = batch.images.cuda(), batch.image_sizes.cuda()
        calibrate(module.model, lambda: module.model.extract(module.model.normalise(*pictures)))
    return module


def find(module: MaskRCNNModule, data: Any) -> float:
    """Seconds to find what is in all pictures, read from their files, and no more."""
    started = time.perf_counter()
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=torch.cuda.is_available()):
        for batch in data.val_dataloader():
            images, sizes = (value.to(module.device, non_blocking=True) for value in (batch.images, batch.image_sizes))
            module.validation_step(batch._replace(images=images, image_sizes=sizes), 0)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(kind: str, rounds: int, config: dict[str, Any], ms: float) -> dict[str, Any]:
    """Seconds of passes and of their inference, in turns."""
    data, mean_ap = build([config["data"], config["callbacks"]["mean_ap"]], [])
    data.prepare_data()
    data.setup("validate")
    module = make_module(config, data)
    if not torch.cuda.is_available():
        detect = stand_in(same_detections(kind == "noise"), ms)
        module.detect = lambda model, images, image_sizes: detect(images, image_sizes)  # type: ignore[assignment]
    elif kind == "objects":
        module.detect = FindsObjects()
    passes, later, alone = [], [], []
    for _ in range(rounds):
        # Lightning brings the model back to the CPU after each pass.
        module.to("cuda" if torch.cuda.is_available() else "cpu")
        alone.append(round(find(module, data), 2))
        trainer = build(config["trainer"], [])(
            callbacks=[mean_ap], logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        started = time.perf_counter()
        trainer.validate(module, datamodule=data, verbose=False)
        passes.append(round(time.perf_counter() - started, 2))
        later.append(round(mean_ap.seconds, 2))
    return {
        "seconds of passes": passes,
        "seconds without what a run's first one starts": later,
        "seconds of finding alone": alone,
        "ratio of medians": round(float(np.median(passes) / np.median(alone)), 2),
        "ratio of the later ones": round(float(np.median(later) / np.median(alone)), 2),
    }


def main() -> None:
    on_gpu, cores = torch.cuda.is_available(), os.cpu_count() or 2
    count, *kinds = sys.argv[1:] or ["960" if on_gpu else "320"]
    kinds = kinds or ["objects", "noise"]
    known = set(kinds) <= {"objects", "noise"} or (kinds == ["pace"] and not on_gpu)
    if not (count.isdecimal() and known):
        sys.exit("error: give a number of pictures, then objects and noise, or pace alone where there is no GPU")
    pictures = int(count)
    full = pictures == (5000 if kinds == ["pace"] else 960 if on_gpu else 320)
    ms = H200_MS if kinds == ["pace"] else H100_MS * H100_CORES / cores
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if on_gpu else f"a stand-in that takes {ms} ms a picture",
        "machine": f"{platform.machine()}, {cores} cores",
        "date": time.strftime("%Y-%m-%d"),
        "pictures": pictures,
    }
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder), pictures, 480, 640)
        workers = [] if on_gpu else ["trainer=cpu", f"data.workers={cores}"]
        config = to_plain(compose([*overrides(Path(folder), 16), *workers, f"run_dir={folder}/run"]))
        for kind in kinds:
            with beside_takes_no_time() if kind == "pace" else nullcontext():
                results[kind] = measure(kind, ROUNDS if full else 1, config, ms)
            print(f"{kind}: {json.dumps(results[kind])}", flush=True)
    if full and not on_gpu and kinds in (["objects", "noise"], ["pace"]):
        path = Path(__file__).parent / "results" / ("validation_pace.json" if kinds == ["pace"] else "validation.json")
        path.write_text(json.dumps(results, indent=2) + "\n")
