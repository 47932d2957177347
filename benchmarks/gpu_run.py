"""Training and validation as a user runs them: from JPEG files of COCO's size, by worker processes, under Lightning."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from data import write_dataset
from gpu_timing import Note

ROOT = Path(__file__).parent.parent
PICTURES, FEW = 4800, 32  # a training epoch's; steps of 16 are 300
VALIDATED = 960
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
            steps = ["trainer.limit_val_batches=0", "callbacks.best=null", "trainer.max_epochs=1",
                     "trainer.log_every_n_steps=50", "callbacks.progress.every_n_steps=50", "callbacks.pictures=null",
                     f"cuda_graphs={graphs}", f"run_dir={folder}/run_{graphs}"]  # fmt: skip
            command = [sys.executable, str(ROOT / "train.py"), *overrides(Path(folder), images), *steps]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            pace = {int(step): float(speed) for step, speed in PACE.findall(done.stdout)}
            said = pace if done.returncode == 0 else done.stdout[-500:] + done.stderr[-1500:]
            note(f"train.py cuda_graphs={graphs}: images/s up to a step", said)


def validation(quick: bool, note: Note) -> None:
    """Seconds of validations with 100 detections in each picture, and of finding them alone."""
    command = [sys.executable, str(ROOT / "benchmarks" / "validation.py"), str(FEW if quick else VALIDATED)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.findall(r"^(\w+): (\{.*\})$", done.stdout, re.MULTILINE)
    for kind, measured in found:
        note(kind, json.loads(measured))
    if not found:
        note("error", done.stderr[-1500:])
