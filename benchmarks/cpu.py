"""Mask R-CNN on a CPU: seconds, memory, where the time goes, and the same work by torchvision if it is there.

    python benchmarks/cpu.py operators|train|inference|train_large|inference_large [quick]

ResNet-50-FPN with frozen norms and a frozen stem and C2, plain SGD; no weights, but norms that have seen the pictures;
20 objects a picture, of the sizes of COCO's. train: 2 pictures of 600 x 800; inference: 1; large: 800 x 1333. Both
models take turns; ratios are of one turn, and their median is told. Without torchvision a step has 64 mask slots. Each
command prints its findings and writes benchmarks/results/cpu_<name>.json; `quick` uses small pictures and writes
nothing.
"""

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from cpu_operators import operators
from cpu_timing import peak_gflops, peak_mb, turns
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision_workload import KNOWN, torchvision_model, torchvision_pictures, torchvision_targets
from workload import OBJECTS, PROPOSALS, calibrate, make_batch, make_model, total

from maskrcnn.engine.detector import detect
from maskrcnn.engine.profile import PARTS, name_parts, time_of_parts
from maskrcnn.modeling.mask_rcnn import MaskRCNN

# Operators that are convolutions and matrix products, forward and backward; everything else counts as the rest.
PRODUCTS = {
    "aten::mkldnn_convolution", "aten::_slow_conv2d_forward", "aten::convolution_backward", "aten::addmm", "aten::mm",
    "aten::bmm", "aten::baddbmm", "aten::convolution_overrideable", "aten::_slow_conv2d_backward",
}  # fmt: skip


def profile(work: Callable[[], object]) -> tuple[dict[str, Any], Any]:
    """The share of convolutions and matrix products, and the largest operators besides; and the profiler's events."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        work()
    spent = {event.key: event.self_cpu_time_total / 1e3 for event in profiler.key_averages()}
    everything, products = sum(spent.values()), sum(ms for name, ms in spent.items() if name in PRODUCTS)
    rest = sorted(((ms, name) for name, ms in spent.items() if name not in PRODUCTS), reverse=True)
    return {
        "share of convolutions and matrix products": round(products / everything, 3),
        "largest of the rest, ms": {name: round(ms) for ms, name in rest[:12]},
    }, profiler.events()


def make_step(model: nn.Module, losses: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-5)

    def step() -> None:
        optimizer.zero_grad()
        losses().backward()
        optimizer.step()

    return step


def train(height: int, width: int, rounds: int, peak: float) -> dict[str, Any]:
    batch = make_batch(2, height, width)
    steps: dict[str, Callable[[], object]] = {}
    regions: list[int] = [64]
    if KNOWN:
        pictures, targets = torchvision_pictures(batch), torchvision_targets(batch)
        layouts = {"torchvision channels_last": True, "torchvision": False}
        for name, channels_last in layouts.items() if rounds > 1 else [*layouts.items()][:1]:
            theirs = torchvision_model(height, width).train()
            if channels_last:
                theirs.to(memory_format=torch.channels_last)
            theirs.roi_heads.mask_roi_pool.register_forward_hook(lambda _, __, out: regions.append(len(out)))
            steps[name] = make_step(theirs, lambda theirs=theirs: sum(theirs(pictures, targets).values()))
        steps["torchvision channels_last"]()
    slots = -(-max(regions[-1], 16) // 16) * 16  # as many regions for the mask head as torchvision had
    model = make_model(f"model.sampler.mask_slots={slots}", f"model.rpn.train_post_nms={PROPOSALS}")
    calibrate(model, lambda: model.extract(model.normalise(batch.images[:1], batch.image_sizes[:1])))
    steps = {"ours": make_step(model, lambda: total(model(batch))), **steps}
    found: dict[str, Any] = {"mask slots": slots, "mask regions of torchvision": regions[-1] if KNOWN else None}
    with torch.no_grad():
        output = model.score_anchors(model.extract(model.normalise(batch.images, batch.image_sizes)))
        proposals = model.rpn.propose(output, batch.image_sizes, training=True)
        samples = model.sampler(proposals, batch.targets, batch.keys)
        found["mask slots with an object"] = int(model.sampler.mask_samples(samples, batch.keys).valid.sum())
    return found | measure(steps, rounds, 2, peak, model)


def inference(height: int, width: int, rounds: int, peak: float) -> dict[str, Any]:
    batch = make_batch(1, height, width)
    model = make_model("model.box_head.score_threshold=0.0").eval()  # all 100 masks, in both
    calibrate(model, lambda: model.extract(model.normalise(batch.images, batch.image_sizes)))
    works: dict[str, Callable[[], object]] = {"ours": lambda: detect(model, batch.images, batch.image_sizes)}
    if KNOWN:
        pictures = torchvision_pictures(batch)
        for name, channels_last in (("torchvision channels_last", True), ("torchvision", False)):
            theirs = torchvision_model(height, width).eval()
            if channels_last:
                theirs.to(memory_format=torch.channels_last)
            theirs.roi_heads.score_thresh = 0.0
            # torchvision pastes masks into the picture within the model, ours after it: left out on both sides
            theirs.transform.postprocess = lambda result, *_: result

            def run(theirs: Any = theirs) -> None:
                with torch.inference_mode():
                    theirs(pictures)

            works[name] = run
    return measure(works, rounds, 1, peak, model)


def measure(
    works: dict[str, Callable[[], object]], rounds: int, images: int, peak: float, model: MaskRCNN
) -> dict[str, Any]:
    found = turns(works, rounds, "ours")
    peak = max(peak, peak_gflops())  # a machine's speed drifts
    found["measured peak, GFLOP/s"] = round(peak, 1)
    found["ours, images/s"] = round(images / found["ours"][0], 3)
    for name, work in works.items():
        found[f"{name}: peak memory above the start, MB"] = peak_mb(work)
    with FlopCounterMode(display=False) as counter:
        works["ours"]()
    tflop = counter.get_total_flops() / 1e12
    found["ours, TFLOP"] = round(tflop, 3)
    found["ours, share of the measured peak"] = round(tflop * 1e3 / found["ours"][0] / peak, 3)
    for name in ["ours", "torchvision channels_last"][: min(rounds, len(works))]:  # one, where a step takes long
        found[f"{name}, profile"], _ = profile(works[name])
    name_parts(model)
    _, events = profile(works["ours"])
    spent = time_of_parts(events)
    names = (*PARTS, "other")
    found["ours, forward and backward ms of parts"] = {name: [round(ms) for ms in spent[name]] for name in names}
    return found


COMMANDS: dict[str, tuple[Callable[[int, int, int, float], dict[str, Any]], int, int, int]] = {
    "operators": (operators, 600, 800, 3),
    "train": (train, 600, 800, 5),
    "inference": (inference, 600, 800, 5),
    "train_large": (train, 800, 1333, 3),
    "inference_large": (inference, 800, 1333, 3),
}


def main() -> None:
    if sys.argv[1:2] not in [[name] for name in COMMANDS]:
        sys.exit(f"error: give one of {', '.join(COMMANDS)}")
    name, quick = sys.argv[1], "quick" in sys.argv[2:]
    work, height, width, rounds = COMMANDS[name]
    if quick:
        height, width, rounds = 160, 224, 1
    peak = peak_gflops()
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "all")
    results: dict[str, Any] = {
        "hardware": f"{platform.machine()}, {torch.get_num_threads()} threads, {os.cpu_count()} cores",
        "instructions": f"{torch.backends.cpu.get_cpu_capability()}, oneDNN {isa}",
        "torch": torch.__version__,
        "version of torchvision": importlib.metadata.version("torchvision") if KNOWN else None,
        "date": time.strftime("%Y-%m-%d"),
        "pictures": f"{height} x {width}, {OBJECTS} objects each",
        "measured peak, GFLOP/s": round(peak, 1),
        **work(height, width, rounds, peak),
    }
    for key, value in results.items():
        if isinstance(value, dict):
            print(f"{key}:", *(f"  {part}: {number}" for part, number in value.items()), sep="\n")
        else:
            print(f"{key}: {value}")
    if not quick:
        path = Path(__file__).parent / "results" / f"cpu_{name}.json"
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
