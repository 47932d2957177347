"""Mask R-CNN on a CPU: seconds, memory, where the time goes, and the same work by torchvision if it is there.

    python benchmarks/cpu.py operators|train|inference|train_large|inference_large [quick]

ResNet-50-FPN with frozen norms and a frozen stem and C2, plain SGD; no weights, but norms that have seen the pictures;
20 objects a picture, of the sizes of COCO's. train: 2 pictures of 600 x 800; inference: 1; large: 800 x 1333. Both
models take turns; ratios are of one turn, and their median is told. Each command prints its findings and writes
benchmarks/results/cpu_<name>.json; `quick` uses small pictures and writes nothing.
"""

import contextlib
import ctypes
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu import calibrate, total
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.detector import detect
from maskrcnn.engine.profile import PARTS, name_parts, time_of_parts
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.masks import crop_masks
from maskrcnn.ops.matching import match_boxes
from maskrcnn.ops.nms import nms
from maskrcnn.ops.roi_align import feature_table, roi_align
from maskrcnn.structures import MASK_CROP, Batch, Targets

with contextlib.suppress(ImportError):
    import torchvision  # noqa: F401

KNOWN = "torchvision" in sys.modules
PAPER = ["experiment=coco_r50_fpn_1x", "data=shapes", "weights=null", "model.rpn.test_post_nms=1000"]
OBJECTS, SLOTS, CLASSES, PROPOSALS = 20, 32, 80, 1000
# Operators that are convolutions and matrix products, forward and backward; everything else counts as the rest.
PRODUCTS = {
    "aten::mkldnn_convolution", "aten::_slow_conv2d_forward", "aten::convolution_backward", "aten::addmm", "aten::mm",
    "aten::bmm", "aten::baddbmm", "aten::convolution_overrideable", "aten::_slow_conv2d_backward",
}  # fmt: skip


def make_model(*overrides: str) -> MaskRCNN:
    torch.manual_seed(0)
    model: MaskRCNN = build(to_plain(compose([*PAPER, *overrides]))["model"], [])(CLASSES, 3)
    return model


def draw_boxes(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Boxes [count, 4] in the picture, of sides from 1/50 to 1/2 of its height, log-uniform."""
    sides = height / 50 * 25 ** torch.rand(count, 2, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * (torch.tensor([float(width), height]) - sides)
    return torch.cat((corners, corners + sides), dim=1)


def make_batch(images: int, height: int, width: int) -> Batch:
    """Smooth pictures, and on each `OBJECTS` objects that fill their boxes, in `SLOTS` slots."""
    generator = torch.Generator().manual_seed(1)
    canvas = [-(-side // 32) * 32 for side in (height, width)]
    coarse = torch.rand(images, 3, 25, 42, generator=generator) * 255
    pixels = nn.functional.interpolate(coarse, canvas, mode="bicubic").clamp(0, 255).to(torch.uint8)
    boxes = torch.zeros(images, SLOTS, 4)
    boxes[:, :OBJECTS] = torch.stack([draw_boxes(OBJECTS, height, width, generator) for _ in range(images)])
    valid = torch.arange(SLOTS).expand(images, -1) < OBJECTS
    targets = Targets(
        boxes,
        torch.where(valid, torch.randint(0, CLASSES, (images, SLOTS), generator=generator), 0),
        torch.where(valid[..., None, None], 255, 0).to(torch.uint8).expand(-1, -1, MASK_CROP, MASK_CROP),
        torch.where(valid, MASK_CROP, 0)[..., None].expand(-1, -1, 2),
        valid,
    )
    sizes, index = torch.tensor([[height, width]] * images), torch.arange(images)
    return Batch(pixels, sizes, sizes, index, index + 1, targets, torch.zeros_like(index))


def turns(works: dict[str, Callable[[], object]], rounds: int, base: str) -> dict[str, Any]:
    """Median, least and most seconds of each work, one after the other in each round, and ratios to `base`."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if number:
                seconds[name].append(time.perf_counter() - start)
    found: dict[str, Any] = {
        name: [round(f(spent), 5) for f in (statistics.median, min, max)] for name, spent in seconds.items()
    }
    for name in works:
        if name != base:
            ratios = [a / b for a, b in zip(seconds[name], seconds[base])]
            found[f"{name}: times the seconds of {base}"] = [round(f(ratios), 2) for f in (statistics.median, min, max)]
    return found


def peak_mb(work: Callable[[], object]) -> float | None:
    """MB that the process grows by while it works, at most; None where the kernel does not say."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts anew
        before = _status("VmRSS")
        work()
        return round((_status("VmHWM") - before) / 1000)
    except OSError:
        return None


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key)))


def peak_gflops() -> float:
    """What one product of two matrices of 2048 x 2048 reaches, the best of 5."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9


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


def torchvision_model(batch: Batch, channels_last: bool) -> Any:
    """torchvision's Mask R-CNN with our numbers of proposals, whose pictures are not resized again."""
    from torchvision.models import resnet50
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.models.detection.mask_rcnn import MaskRCNN as Torchvision
    from torchvision.ops.misc import FrozenBatchNorm2d

    torch.manual_seed(0)
    height, width = batch.image_sizes[0].tolist()
    model = Torchvision(
        _resnet_fpn_extractor(resnet50(norm_layer=FrozenBatchNorm2d), 3), CLASSES + 1, min_size=height, max_size=width,
        rpn_pre_nms_top_n_train=2000, rpn_post_nms_top_n_train=PROPOSALS, rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=PROPOSALS,
    )  # fmt: skip
    if channels_last:
        model.to(memory_format=torch.channels_last)
    picture = torchvision_pictures(batch)[:1]
    calibrate(model, lambda: model.backbone(model.transform(picture)[0].tensors))
    return model


def torchvision_pictures(batch: Batch) -> list[Tensor]:
    return [(image[:, :h, :w] / 255).contiguous() for image, (h, w) in zip(batch.images, batch.image_sizes.tolist())]


def torchvision_targets(batch: Batch) -> list[dict[str, Tensor]]:
    targets = []
    for (h, w), boxes, labels in zip(batch.image_sizes.tolist(), batch.targets.boxes, batch.targets.labels):
        masks = torch.zeros(OBJECTS, h, w, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes[:OBJECTS].round().int().tolist()):
            mask[y1:y2, x1:x2] = 1
        targets.append({"boxes": boxes[:OBJECTS], "labels": labels[:OBJECTS] + 1, "masks": masks})
    return targets


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
            theirs = torchvision_model(batch, channels_last).train()
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
            theirs = torchvision_model(batch, channels_last).eval()
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


def operators(height: int, width: int, rounds: int, peak: float) -> dict[str, Any]:
    """RoIAlign of 1,024 regions, NMS of 5 lists of 1,000, matching all anchors with 20 objects, 128 mask targets."""
    generator = torch.Generator().manual_seed(2)
    found: dict[str, Any] = {}
    strides = (4, 8, 16, 32)
    canvas = [-(-side // 32) * 32 for side in (height, width)]
    levels = [torch.randn(2, 256, canvas[0] // s, canvas[1] // s, generator=generator) for s in strides]
    ours = [level.to(memory_format=torch.channels_last).requires_grad_() for level in levels]
    plain = [level.clone().requires_grad_() for level in levels]
    boxes = draw_boxes(1024, height, width, generator)
    images = torch.arange(2).repeat_interleave(512)
    level = torch.floor(4 + torch.log2((boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt() / 224)).clamp(2, 5).long() - 2

    def pool(size: int) -> Tensor:
        return roi_align(feature_table(tuple(ours), strides), images, boxes, level, (size, size), 2, False)

    for size in (7, 14):
        gradient = torch.randn(1024, 256, size, size, generator=generator)
        rows = gradient.to(memory_format=torch.channels_last)
        works: dict[str, dict[str, Callable[[], object]]] = {
            "forward": {"ours": torch.no_grad()(lambda size=size: pool(size))},
            "forward and backward": {
                "ours": lambda size=size, rows=rows: torch.autograd.grad(pool(size), ours, rows, allow_unused=True)
            },
        }
        if KNOWN:
            from torchvision.ops import MultiScaleRoIAlign

            pooler = MultiScaleRoIAlign(["0", "1", "2", "3"], size, 2)

            def theirs(pooler: Any = pooler) -> Tensor:
                pooled: Tensor = pooler(dict(zip("0123", plain)), list(boxes.split(512)), [(height, width)] * 2)
                return pooled

            works["forward"]["torchvision"] = torch.no_grad()(theirs)
            works["forward and backward"]["torchvision"] = lambda theirs=theirs, gradient=gradient: torch.autograd.grad(
                theirs(), plain, gradient, allow_unused=True
            )
            difference = (pool(size) - theirs()).detach().abs().max()
            found[f"RoIAlign {size} x {size}: greatest difference"] = float(difference)
        for name, kinds in works.items():
            found[f"RoIAlign {size} x {size}, {name}"] = turns(kinds, rounds, "ours")
    found |= _boxes(height, width, rounds, generator)
    return found


def _boxes(height: int, width: int, rounds: int, generator: torch.Generator) -> dict[str, Any]:
    found: dict[str, Any] = {}
    centres = draw_boxes(60, height, width, generator)
    near = centres[torch.randint(0, 60, (5, 1000), generator=generator)]
    near = near + torch.randn(5, 1000, 4, generator=generator) * 8
    near[..., 2:] = torch.maximum(near[..., 2:], near[..., :2] + 1)
    valid = torch.ones(5, 1000, dtype=torch.bool)
    works: dict[str, Callable[[], object]] = {"ours": lambda: nms(near, valid, 0.7)}
    if KNOWN:
        from torchvision.ops import batched_nms, box_iou

        flat, scores = near.flatten(0, 1), torch.arange(1000.0, 0, -1).repeat(5)
        groups = torch.arange(5).repeat_interleave(1000)
        works["torchvision"] = lambda: batched_nms(flat, scores, groups, 0.7)
        kept = torch.zeros(5000, dtype=torch.bool)
        kept[batched_nms(flat, scores, groups, 0.7)] = True
        found["NMS: boxes kept by one of the two alone"] = int((kept != nms(near, valid, 0.7).flatten()).sum())
    found["NMS, 5 x 1,000"] = turns(works, rounds, "ours")
    batch = make_batch(2, height, width)
    model = make_model()
    shapes = [torch.empty(1, 1, -(-height // s), -(-width // s)) for s in (4, 8, 16, 32, 64)]
    anchors = torch.cat(model.anchors(tuple(shapes)))
    works = {
        "ours": lambda: match_boxes(
            anchors, batch.targets.boxes, batch.targets.valid, low=0.3, high=0.7, low_quality=True
        )
    }
    if KNOWN:
        from torchvision.models.detection._utils import Matcher

        matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
        works["torchvision"] = lambda: [matcher(box_iou(b[:OBJECTS], anchors)) for b in batch.targets.boxes]
    found[f"matching {len(anchors)} anchors of 2 pictures"] = turns(works, rounds, "ours")
    masks = torch.rand(128, MASK_CROP, MASK_CROP, generator=generator)
    used = torch.full((128, 2), MASK_CROP)
    regions = draw_boxes(128, height, width, generator)
    works = {"ours": lambda: crop_masks(masks, used, regions, regions + 2, 28, 2)}
    if KNOWN:
        from torchvision.models.detection.roi_heads import project_masks_on_boxes

        full = (torch.rand(OBJECTS, height, width, generator=generator) > 0.5).to(torch.uint8)
        which = torch.arange(128) % OBJECTS
        works["torchvision"] = lambda: project_masks_on_boxes(full, regions, which, 28)
    found["mask targets of 128 regions"] = turns(works, rounds, "ours")
    return found


COMMANDS: dict[str, tuple[Callable[[int, int, int, float], dict[str, Any]], int, int, int]] = {
    "operators": (operators, 600, 800, 3),
    "train": (train, 600, 800, 2),
    "inference": (inference, 600, 800, 5),
    "train_large": (train, 800, 1333, 1),
    "inference_large": (inference, 800, 1333, 3),
}


def main() -> None:
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
        "torchvision": sys.modules["torchvision"].__version__ if KNOWN else None,
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
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
