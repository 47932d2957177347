"""What validation.py measures."""

import json
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import write_dataset
from evaluation import CELLS, DETECTIONS, draw_boxes, draw_masks
from gpu_run import overrides
from torch import Tensor
from workload import calibrate

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.structures import Detections

H100_MS, H100_CORES = 4.7, 16  # of a picture from a file (benchmarks/results/gpu.json), and the cores beside it
ROUNDS = 3

Detect = Callable[[Tensor, Tensor], Detections]


def stand_in(noise: bool, ms: float) -> Detect:
    """A device that takes some milliseconds a picture and finds always the same, in 480 x 640.

    As on a GPU the host goes on meanwhile, and waits when it brings the next batch before this one has ended. So nobody
    waits for the last batch, neither in a pass nor in its inference alone.
    """
    draw = np.random.default_rng(0)
    boxes = torch.from_numpy(draw_boxes(DETECTIONS, draw))
    masks = torch.from_numpy(draw_masks(DETECTIONS, draw))
    if noise:
        boxes = torch.tensor([0.0, 0.0, 640.0, 480.0]).expand(DETECTIONS, 4)
        coarse = torch.from_numpy(draw.random((1, DETECTIONS, 7, 7), np.float32))
        masks = torch.nn.functional.interpolate(coarse, (CELLS, CELLS), mode="bicubic")[0].clamp(0, 1)
    scores = torch.linspace(1, 0.1, DETECTIONS)
    one = (scores, torch.zeros(DETECTIONS, dtype=torch.long), masks, torch.ones(DETECTIONS, dtype=torch.bool))
    free_at = 0.0

    def detect(images: Tensor, image_sizes: Tensor) -> Detections:
        nonlocal free_at
        time.sleep(max(free_at - time.perf_counter(), 0))
        free_at = time.perf_counter() + ms / 1000 * len(images)
        scaled = boxes * (image_sizes[:, :1, None] / 480)
        return Detections(scaled, *(value.expand(len(images), *value.shape).clone() for value in one))

    return detect


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


def measure(kind: str, pictures: int, config: dict[str, Any], ms: float) -> dict[str, Any]:
    """Seconds of passes and of their inference, in turns."""
    data, mean_ap = build([config["data"], config["callbacks"]["mean_ap"]], [])
    data.prepare_data()
    data.setup("validate")
    module = make_module(config, data)
    if not torch.cuda.is_available():
        detect = stand_in(kind == "noise", ms)
        module.detect = lambda model, images, image_sizes: detect(images, image_sizes)  # type: ignore[assignment]
    passes, alone = [], []
    for _ in range(ROUNDS):
        # Lightning brings the model back to the CPU after each pass.
        module.to("cuda" if torch.cuda.is_available() else "cpu")
        alone.append(round(find(module, data), 2))
        trainer = build(config["trainer"], [])(
            callbacks=[mean_ap], logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        started = time.perf_counter()
        trainer.validate(module, datamodule=data, verbose=False)
        passes.append(round(time.perf_counter() - started, 2))
    ratio = float(np.median(passes) / np.median(alone))
    return {"seconds of passes": passes, "seconds of finding alone": alone, "ratio of medians": round(ratio, 2)}


def main() -> None:
    on_gpu, cores = torch.cuda.is_available(), os.cpu_count() or 2
    full = 960 if on_gpu else 320
    pictures = int(sys.argv[1]) if sys.argv[1:] else full
    ms = H100_MS * H100_CORES / cores
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
        for kind in ("noise",) if on_gpu else ("objects", "noise"):
            results[kind] = measure(kind, pictures, config, ms)
            print(f"{kind}: {json.dumps(results[kind])}", flush=True)
    if pictures == full:
        path = Path(__file__).parent / "results" / "validation.json"
        path.write_text(json.dumps(results, indent=2) + "\n")
