"""The numbers behind the design: mask slots, rounds of NMS, one backward of the whole graph, one export.

    python benchmarks/spike.py [quick]

Prints its findings; at full size it writes benchmarks/results/spike.json too.
ResNet-50-FPN, 2 pictures of 600 x 800 (canvas 608 x 800), 8 objects each, frozen norms, no weights. `quick` uses 2 of
160 x 224, and writes nothing.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from arguments import is_quick
from cpu_timing import seconds
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from workload import make_model, total

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.boxes import clip_boxes, decode_boxes, iou
from maskrcnn.structures import MASK_CROP, Batch, Targets


def make_batch(height: int, width: int, objects: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(0)
    canvas = (-(-height // 32) * 32, -(-width // 32) * 32)
    corners = torch.rand(2, objects, 2, generator=generator) * torch.tensor([width * 0.6, height * 0.6])
    boxes = torch.cat((corners, corners + 20 + torch.rand(2, objects, 2, generator=generator) * height * 0.35), dim=-1)
    targets = Targets(
        boxes,
        torch.randint(0, 80, (2, objects), generator=generator),
        torch.full((2, objects, MASK_CROP, MASK_CROP), 255, dtype=torch.uint8),
        torch.full((2, objects, 2), MASK_CROP),
        torch.ones(2, objects, dtype=torch.bool),
    )
    images = torch.randint(0, 256, (2, 3, *canvas), generator=generator, dtype=torch.uint8)
    sizes = torch.tensor([[height, width]] * 2)
    index = torch.arange(2)
    return Batch(images, sizes, sizes, index, index + 1, targets)


def train_step(model: nn.Module, batch: Batch) -> None:
    model.zero_grad()
    total(model(batch)).backward()


def rounds(boxes: Tensor, threshold: float) -> int:
    """Iterations of the fixed point of `maskrcnn.ops.nms` for boxes [N, 4], best first."""
    weights = (iou(boxes[:, None], boxes[None]) > threshold).triu(1).float()
    keep, before, count = torch.ones(len(boxes), dtype=torch.bool), None, 0
    while before is None or not torch.equal(keep, before):
        keep, before, count = (keep.float() @ weights) == 0, keep, count + 1
    return count


def nms_rounds(model: MaskRCNN, images: Tensor, sizes: Tensor) -> list[int]:
    with torch.no_grad():
        output = model.score_anchors(model.extract(model.normalise(images, sizes)))
        counts = []
        for scores, deltas, anchors in zip(output.objectness, output.deltas, output.anchors):
            best = scores[0].topk(min(1000, scores.shape[1])).indices
            boxes = clip_boxes(decode_boxes(deltas[:1, best], anchors[best], (1, 1, 1, 1)), sizes[:1])[0]
            counts.append(rounds(boxes, model.rpn.nms_threshold))
    return counts


class Detector(nn.Module):
    def __init__(self, model: MaskRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, image_sizes: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.detect(images, image_sizes))  # a plain tuple, which reloads without our classes


RELOAD = """
import sys, torch
program = torch.export.load(sys.argv[1]).module()
images, sizes, want = torch.load(sys.argv[2])
difference = max((a.float() - b.float()).abs().max().item() for a, b in zip(program(images, sizes), want))
print(difference, "maskrcnn" in sys.modules)
"""


def main() -> None:
    quick = is_quick()
    height, width = (160, 224) if quick else (600, 800)
    times = 1 if quick else 3
    batch = make_batch(height, width)
    results: dict[str, object] = {
        "hardware": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "picture": f"2 x {height} x {width}",
    }
    print(results)
    for slots in (32, 64, 128, 256):  # of the batch; 64, 128, 256 are F = 32, 64, 128 an image
        model = make_model(f"model.sampler.mask_slots={slots}")
        with FlopCounterMode(display=False) as counter:
            train_step(model, batch)
        median, _, _ = seconds(lambda: train_step(model, batch), times)  # noqa: B023
        with torch.no_grad():
            output = model.score_anchors(model.extract(model.normalise(batch.images, batch.image_sizes)))
            proposals = model.rpn.propose(output, batch.image_sizes, training=True)
            samples = model.sampler(proposals, batch.targets, batch.keys)
            real = int(model.sampler.mask_samples(samples, batch.keys).valid.sum())
        results[f"{slots} mask slots a batch"] = {
            "seconds": round(median, 2),
            "TFLOP": round(counter.get_total_flops() / 1e12, 3),
            "slots with an object": real,
        }
        print(slots, "mask slots:", results[f"{slots} mask slots a batch"], flush=True)
    model = make_model()
    blank = torch.full_like(batch.images, 124)
    results["NMS rounds a level, random picture"] = nms_rounds(model, batch.images, batch.image_sizes)
    results["NMS rounds a level, blank picture"] = nms_rounds(model, blank, batch.image_sizes)
    print({k: v for k, v in results.items() if k.startswith("NMS")}, flush=True)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    start = time.perf_counter()
    train_step(compiled, batch)
    results["fullgraph forward and backward (aot_eager), first call, seconds"] = round(time.perf_counter() - start, 1)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        detector = Detector(model.eval())
        start = time.perf_counter()
        program = torch.export.export(detector, (batch.images, batch.image_sizes), strict=True)
        results["strict export, seconds"] = round(time.perf_counter() - start, 1)
        paths = [str(Path(folder) / name) for name in ("model.pt2", "io.pt")]
        torch.export.save(program, paths[0])
        torch.save((batch.images, batch.image_sizes, list(detector(batch.images, batch.image_sizes))), paths[1])
        done = subprocess.run(
            [sys.executable, "-c", RELOAD, *paths], capture_output=True, text=True, check=True, cwd=folder
        )
        difference, imported = done.stdout.split()
        results["reloaded in a fresh process: largest difference"] = float(difference)
        results["reloaded in a fresh process: needed this package"] = imported == "True"
    for key, value in results.items():
        print(f"{key}: {value}")
    if not quick:
        (Path(__file__).parent / "results" / "spike.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
