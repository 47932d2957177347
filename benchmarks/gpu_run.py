"""Training and validation as a user runs them: from JPEG files of COCO's size, by worker processes, under Lightning."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from data import write_dataset
from gpu_timing import Note
from workload import calibrate

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.module import MaskRCNNModule

ROOT = Path(__file__).parent.parent
PICTURES, FEW = 960, 32
PACE = re.compile(r"step (\d+)/\d+ .* ([\d.]+) images/s")


def overrides(root: Path, images: int) -> list[str]:
    """The paper's recipe, on the pictures below `root`."""
    source = {"train_images": "train", "train_annotations": "train.json", "val_images": "train",
              "val_annotations": "train.json"}  # fmt: skip
    workers = max((os.cpu_count() or 2) - 2, 1)
    return [
        "experiment=coco_r50_fpn_1x", "weights=null", f"data.root={root}", "trainer=gpu", f"data.batch_size={images}",
        "data.val_batch_size=8", f"data.workers={workers}", f"model.sampler.mask_slots={images * 32}",
        "optimizer.lr=1e-6", "model.box_head.score_threshold=0.0",
        *(f"data.source.{key}={value}" for key, value in source.items()),
    ]  # fmt: skip


def run(images: int, quick: bool, note: Note) -> None:
    """Images a second of train.py, plain and recorded, as it prints them itself."""
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder), FEW if quick else PICTURES, 480, 640)
        for graphs in (False, True):
            steps = ["trainer.limit_val_batches=0", "callbacks.best=null", "trainer.max_epochs=3",
                     "trainer.log_every_n_steps=20", "callbacks.progress.every_n_steps=20", "callbacks.pictures=null",
                     f"cuda_graphs={graphs}", f"run_dir={folder}/run_{graphs}"]  # fmt: skip
            command = [sys.executable, str(ROOT / "train.py"), *overrides(Path(folder), images), *steps]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            pace = {int(step): float(speed) for step, speed in PACE.findall(done.stdout)}
            said = pace if done.returncode == 0 else done.stdout[-500:] + done.stderr[-1500:]
            note(f"train.py cuda_graphs={graphs}: images/s up to a step", said)


def validation(quick: bool, note: Note) -> None:
    """Seconds of a validation of ResNet-50-FPN with 100 detections in each picture, and of finding them alone."""
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder), FEW if quick else PICTURES, 480, 640)
        config = to_plain(compose([*overrides(Path(folder), 16), f"run_dir={folder}/run"]))
        data, model, mean_ap = build([config["data"], config["model"], config["callbacks"]["mean_ap"]], [])
        data.prepare_data()
        data.setup("validate")
        optimizer, schedule = build([config["optimizer"], config["schedule"]], [])
        module = MaskRCNNModule(model(1, 3), optimizer, schedule, config["loss_weights"], 1, 1, {}).cuda().eval()
        batch = next(iter(data.val_dataloader()))
        images, sizes = batch.images.cuda(), batch.image_sizes.cuda()
        calibrate(module.model, lambda: module.model.extract(module.model.normalise(images, sizes)))
        trainer = build(config["trainer"], [])(
            callbacks=[mean_ap], logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        for name in ("first", "second"):
            started = time.perf_counter()
            trainer.validate(module, datamodule=data, verbose=False)
            note(f"validation, {name}, seconds", round(time.perf_counter() - started, 2))
        module.cuda()
        note("finding alone, seconds", _find(module, data))
        note("pictures", len(data.val_annotations.records))


def _find(module: MaskRCNNModule, data: Any) -> float:
    """Of all pictures, read from their files."""
    started = time.perf_counter()
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
        for number, batch in enumerate(data.val_dataloader()):
            images, sizes = batch.images.cuda(non_blocking=True), batch.image_sizes.cuda(non_blocking=True)
            module.validation_step(batch._replace(images=images, image_sizes=sizes), number)
    torch.cuda.synchronize()
    return round(time.perf_counter() - started, 2)
