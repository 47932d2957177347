"""Mask R-CNN on one GPU: images a second, memory, where the time goes, and the same work by torchvision if it is there.

    python benchmarks/gpu.py results.json [quick] [part ...]

ResNet-50-FPN with frozen norms, stem and C2 frozen, bfloat16, pictures of 800 x 1333 on a canvas of 800 x 1344, already
on the device; SGD with momentum. No weights: but objects of the sizes of COCO's, 20 a picture, so that there are
regions to learn from, and as many proposals and mask regions in both. Parts: torchvision, train, inference, operators,
norms (without the fused ones), heuristics (cuDNN guesses its algorithms), compiled, graphs, and "compiled inference";
all but that, if none is named. `quick` measures fewer steps. Each result is written at once.
"""

import contextlib
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.module import mean_losses
from maskrcnn.engine.profile import PARTS, name_parts, time_of_parts
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.ops.roi_align import feature_table, roi_align
from maskrcnn.structures import MASK_CROP, Batch, Targets

PAPER = ["experiment=coco_r50_fpn_1x", "data=shapes", "weights=null", "model.rpn.test_post_nms=1000"]
HEIGHT, WIDTH, CANVAS = 800, 1333, (800, 1344)
OBJECTS, SLOTS, CLASSES = 20, 32, 80


Note = Callable[[str, Any], None]


def make_model(*overrides: str) -> MaskRCNN:
    torch.manual_seed(0)
    model: MaskRCNN = build(to_plain(compose([*PAPER, *overrides]))["model"], [])(CLASSES, 3)
    return model.cuda()


def draw_boxes(count: int, generator: torch.Generator) -> Tensor:
    """Boxes [count, 4] in the picture, of sides from 16 to 400 pixels, log-uniform."""
    sides = 16 * 25 ** torch.rand(count, 2, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * (torch.tensor([float(WIDTH), HEIGHT]) - sides)
    return torch.cat((corners, corners + sides), dim=1)


def make_batch(images: int) -> Batch:
    """Smooth pictures, and on each `OBJECTS` objects that fill their boxes, in `SLOTS` slots."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(images, 3, 25, 42, generator=generator) * 255
    pixels = nn.functional.interpolate(coarse, CANVAS, mode="bicubic").clamp(0, 255).to(torch.uint8)
    boxes = torch.zeros(images, SLOTS, 4)
    boxes[:, :OBJECTS] = torch.stack([draw_boxes(OBJECTS, generator) for _ in range(images)])
    valid = torch.arange(SLOTS).expand(images, -1) < OBJECTS
    targets = Targets(
        boxes.cuda(),
        torch.where(valid, torch.randint(0, CLASSES, (images, SLOTS), generator=generator), 0).cuda(),
        torch.where(valid[..., None, None], 255, 0).to(torch.uint8).expand(-1, -1, MASK_CROP, MASK_CROP).cuda(),
        torch.where(valid, MASK_CROP, 0)[..., None].expand(-1, -1, 2).cuda(),
        valid.cuda(),
    )
    sizes = torch.tensor([[HEIGHT, WIDTH]] * images).cuda()
    index = torch.arange(images).cuda()
    return Batch(pixels.cuda(), sizes, sizes, index, index + 1, targets, torch.zeros_like(index))


def calibrate(model: nn.Module, run: Callable[[], object]) -> None:
    """Gives frozen norms the statistics of what they see, as trained ones have: else values grow block by block."""

    def see(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3)))

    hooks = [part.register_forward_pre_hook(see) for part in model.modules() if hasattr(part, "running_var")]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()


def milliseconds(work: Callable[[], object], times: int, warm_up: int = 3) -> dict[str, float]:
    """Median and spread of single runs, each between two events on the device."""
    for _ in range(warm_up):
        work()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(times)]
    torch.cuda.synchronize()
    for start, end in events:
        start.record()
        work()
        end.record()
    torch.cuda.synchronize()
    spent = sorted(start.elapsed_time(end) for start, end in events)
    return {"ms": round(statistics.median(spent), 3), "least": round(spent[0], 3), "most": round(spent[-1], 3)}


def make_step(model: nn.Module, losses: Callable[[], Tensor], scaler: Any = None) -> Callable[[], None]:
    """A training step: forward and backward pass and SGD, with torchvision's loss scaling if a scaler is given."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-4, momentum=0.9, weight_decay=1e-4)
    dtype = torch.bfloat16 if scaler is None else torch.float16

    def step() -> None:
        torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast("cuda", dtype):
            loss = losses()
        optimizer.zero_grad()
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

    return step


def measure_step(step: Callable[[], None], images: int, times: int) -> dict[str, Any]:
    started = time.perf_counter()
    step()
    torch.cuda.synchronize()
    first = time.perf_counter() - started
    torch.cuda.reset_peak_memory_stats()
    found: dict[str, Any] = milliseconds(step, times)
    found["images/s"] = round(images / found["ms"] * 1000, 1)
    found["peak GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    found["first step s"] = round(first, 1)
    return found


def without_fused_norms(images: int, times: int, folder: Path, slots: int, note: Note) -> None:
    from maskrcnn.modeling import layers

    large, layers.LARGE = layers.LARGE, 2**62
    try:
        train(images, times, folder, None, slots, "norms in torch", note)
    finally:
        layers.LARGE = large


def total(losses: Any) -> Tensor:
    return torch.stack(list(mean_losses(losses).values())).sum()


def kernels_of(work: Callable[[], None], path: Path) -> None:
    """Writes which kernels the device spends its time in."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        work()
        torch.cuda.synchronize()
    averages = profiler.key_averages()
    path.write_text(averages.table(sort_by="self_cuda_time_total", row_limit=40, max_name_column_width=90))


def parts_of(model: MaskRCNN, step: Callable[[], None], times: int) -> dict[str, list[float]]:
    """Forward and backward milliseconds of each part of the model on the device."""
    name_parts(model)
    step()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(times):
            step()
        torch.cuda.synchronize()
    spent = time_of_parts(profiler.events())
    return {name: [round(ms / times, 2) for ms in spent[name]] for name in PARTS}


def train(images: int, times: int, folder: Path, compiled: str | None, slots: int, name: str, note: Note) -> None:
    batch = make_batch(images)
    model = make_model(f"model.sampler.mask_slots={slots}")
    calibrate(model, lambda: model.extract(model.normalise(batch.images[:2], batch.image_sizes[:2])))
    forward: Any = model
    if compiled is not None:
        torch._dynamo.reset()
        forward = torch.compile(model, fullgraph=True, mode=compiled)
    step = make_step(model, lambda: total(forward(batch)))
    found = measure_step(step, images, times)
    note(name, found)
    found["loss"] = round(total(forward(batch)).item(), 3)
    found["mask slots"] = slots
    kernels_of(step, folder / f"kernels_{name.replace(' ', '_')}.txt")
    note(name, found)
    if name == "eager":
        note("parts, forward and backward ms", parts_of(model, step, 2))


def torchvision_model() -> Any:
    from torchvision.models import resnet50
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.models.detection.mask_rcnn import MaskRCNN as Torchvision
    from torchvision.ops.misc import FrozenBatchNorm2d

    torch.manual_seed(0)
    backbone = _resnet_fpn_extractor(resnet50(norm_layer=FrozenBatchNorm2d), 3)
    model = Torchvision(backbone, CLASSES + 1, rpn_pre_nms_top_n_train=2000, rpn_post_nms_top_n_train=1000)
    model.cuda().train()
    picture = [(make_batch(1).images[0, :, :HEIGHT, :WIDTH] / 255)]
    calibrate(model, lambda: model.backbone(model.transform(picture)[0].tensors))
    return model


def torchvision_train(batch: Batch, times: int, folder: Path, channels_last: bool) -> dict[str, Any]:
    """As torchvision's own training script with --amp: float16 with loss scaling. channels_last: with bfloat16 too."""
    model = torchvision_model()
    if channels_last:
        model.to(memory_format=torch.channels_last)
    pictures = [(image[:, :HEIGHT, :WIDTH] / 255).contiguous() for image in batch.images]
    targets = []
    for boxes, labels in zip(batch.targets.boxes[:, :OBJECTS], batch.targets.labels[:, :OBJECTS]):
        masks = torch.zeros(OBJECTS, HEIGHT, WIDTH, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().int().tolist()):
            mask[y1:y2, x1:x2] = 1
        targets.append({"boxes": boxes, "labels": labels + 1, "masks": masks.cuda()})
    regions: list[int] = []
    hook = model.roi_heads.mask_roi_pool.register_forward_hook(lambda _, __, out: regions.append(len(out)))
    scaler = None if channels_last else torch.amp.GradScaler("cuda")
    step = make_step(model, lambda: sum(model(pictures, targets).values()), scaler)  # type: ignore[arg-type, return-value]
    found = measure_step(step, len(pictures), times)
    hook.remove()
    found["mask regions"] = round(statistics.mean(regions))
    if not channels_last:
        kernels_of(step, folder / "kernels_torchvision.txt")
    return found


def with_torchvision(images: int, times: int, folder: Path, note: Note) -> None:
    batch = make_batch(images)
    for name, channels_last in (("float16 as shipped", False), ("bfloat16, channels_last", True)):
        note(name, torchvision_train(batch, times, folder, channels_last))
        gc.collect()
        torch.cuda.empty_cache()


def operators(times: int, note: Note) -> None:
    """NMS of 16 x 5 lists of 2,000 proposals, and RoIAlign of 16 x 512 regions forward and backward."""
    generator = torch.Generator().manual_seed(2)
    with contextlib.suppress(ImportError):
        import torchvision
    known = "torchvision" in sys.modules
    centres = torch.stack([draw_boxes(60, generator) for _ in range(80)])
    boxes = centres[:, torch.randint(0, 60, (2000,), generator=generator)]
    boxes = (boxes + torch.randn(80, 2000, 4, generator=generator) * 12).cuda()
    boxes[..., 2:] = torch.maximum(boxes[..., 2:], boxes[..., :2] + 1)
    valid = torch.ones(80, 2000, dtype=torch.bool, device="cuda")
    from maskrcnn.ops import nms as ours

    note("nms", milliseconds(lambda: ours.nms(boxes, valid, 0.7), times))
    kept = ours.nms(boxes, valid, 0.7)
    if known:
        scores = torch.arange(2000, 0, -1, device="cuda").float()
        flat, groups = boxes.flatten(0, 1), torch.arange(80, device="cuda").repeat_interleave(2000)

        def per_image() -> list[Tensor]:  # as its RPN does: an image's five levels at once
            return [
                torchvision.ops.batched_nms(flat[i : i + 10000], scores.repeat(5), groups[i : i + 10000], 0.7)
                for i in range(0, 160000, 10000)
            ]

        note("nms, torchvision", milliseconds(per_image, times))
        theirs = torch.zeros_like(kept).flatten()
        for first, index in zip(range(0, 160000, 10000), per_image()):
            theirs[first + index] = True
        note("nms: boxes kept by one of the two alone", int((kept.flatten() != theirs).sum()))
    with_kernel = ours.triton_serves
    try:
        ours.triton_serves = lambda _: False
        note("nms, torch", milliseconds(lambda: ours.nms(boxes, valid, 0.7), times))
    finally:
        ours.triton_serves = with_kernel
    gc.collect()
    torch.cuda.empty_cache()
    for dtype in (torch.float32, torch.bfloat16):
        roi_aligns(dtype, times, generator, known, note)


def roi_aligns(dtype: torch.dtype, times: int, generator: torch.Generator, known: bool, note: Note) -> None:
    from maskrcnn.ops import roi_align as ours

    strides = (4, 8, 16, 32)
    levels = [torch.randn(16, 256, 800 // s, 1344 // s, device="cuda", dtype=dtype) for s in strides]
    levels = [level.to(memory_format=torch.channels_last).requires_grad_() for level in levels]
    boxes = draw_boxes(16 * 512, generator).cuda()
    images = torch.arange(16, device="cuda").repeat_interleave(512)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    level = torch.floor(4 + torch.log2(area.sqrt() / 224)).clamp(2, 5).long() - 2
    gradient = torch.randn(16 * 512, 256, 7, 7, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)

    def run() -> Tensor:
        return roi_align(feature_table(tuple(levels), strides), images, boxes, level, (7, 7), 2, True)

    def both(forward: Callable[[], Tensor]) -> None:
        torch.autograd.grad(forward(), levels, gradient, allow_unused=True)

    name = f"roi_align {str(dtype).removeprefix('torch.')}"
    kernel = ours.triton_serves
    for suffix, serves in (("", kernel), (", torch", lambda _: False)):
        ours.triton_serves = serves
        try:
            note(f"{name}{suffix}, forward", milliseconds(run, times))
            note(f"{name}{suffix}, forward and backward", milliseconds(lambda: both(run), times))
        except RuntimeError as error:
            note(f"{name}{suffix}", str(error).splitlines()[0])
        finally:
            ours.triton_serves = kernel
    if known:
        from torchvision.ops import MultiScaleRoIAlign

        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        plain = [one.detach().contiguous().requires_grad_() for one in levels]
        each = list(boxes.split(512))

        def theirs() -> Tensor:
            pooled: Tensor = pool(dict(zip("0123", plain)), each, [(HEIGHT, WIDTH)] * 16)
            return pooled

        def theirs_both() -> None:
            torch.autograd.grad(theirs(), plain, gradient.contiguous(), allow_unused=True)

        try:
            note(f"{name}, torchvision, forward", milliseconds(theirs, times))
            note(f"{name}, torchvision, forward and backward", milliseconds(theirs_both, times))
        except RuntimeError as error:
            note(f"{name}, torchvision", str(error).splitlines()[0])


def inference(times: int, note: Note, compiled: bool) -> None:
    """One picture on the device, to detections on the device, masks of all 100 slots included."""
    batch = make_batch(1)
    model = make_model("model.box_head.score_threshold=0.0").eval()
    calibrate(model, lambda: model.extract(model.normalise(batch.images, batch.image_sizes)))

    def detect(run: Callable[..., Any]) -> Any:
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
            return run(batch.images, batch.image_sizes)

    if compiled:
        for mode in ("default", "reduce-overhead"):
            torch._dynamo.reset()
            run = torch.compile(model.detect, fullgraph=True, mode=mode)
            note(f"compiled, {mode}", milliseconds(lambda: detect(run), times))  # noqa: B023
        return
    note("eager", milliseconds(lambda: detect(model.detect), times))
    torch.cuda.reset_peak_memory_stats()
    detect(model.detect)
    note("peak GB", round(torch.cuda.max_memory_allocated() / 1e9, 2))
    # No shape and no branch depends on the data, so that one recording of the eager calls serves all pictures.
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = detect(model.detect)
    note("eager, as a CUDA graph", milliseconds(graph.replay, times))
    batch.images.copy_(batch.images.flip(-1))
    graph.replay()
    again = detect(model.detect)
    note("detections of another picture that graph and eager share", int((recorded.labels == again.labels).sum()))
    del graph
    with contextlib.suppress(ImportError):
        theirs = torchvision_model().eval()
        theirs.roi_heads.score_thresh = 0.0
        picture = [batch.images[0, :, :HEIGHT, :WIDTH] / 255]

        def work() -> None:
            with torch.inference_mode(), torch.autocast("cuda", torch.float16):
                theirs(picture)

        note("torchvision, float16", milliseconds(work, times))


def main() -> None:
    path, *words = sys.argv[1:]
    quick = "quick" in words
    everything = ["torchvision", "train", "inference", "operators", "norms", "heuristics", "compiled", "graphs"]
    wanted = [word for word in words if word != "quick"] or everything
    images, times = (16, 5) if quick else (16, 20)
    out = Path(path)
    folder = out.parent
    results: dict[str, Any] = {
        "hardware": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "date": time.strftime("%Y-%m-%d"),
        "work": f"{images} pictures of {HEIGHT} x {WIDTH}, {OBJECTS} objects each",
    }

    def slots() -> int:
        """As many regions for the mask head as torchvision had on average, in steps of 64; else 64 a picture."""
        theirs = [one["mask regions"] for one in results.get("torchvision", {}).values() if "mask regions" in one]
        return -(-max(theirs, default=images * 64) // 64) * 64

    parts: dict[str, Callable[[Note], None]] = {
        "operators": lambda note: operators(times, note),
        "torchvision": lambda note: with_torchvision(images, times, folder, note),
        "train": lambda note: train(images, times, folder, None, slots(), "eager", note),
        "norms": lambda note: without_fused_norms(images, times, folder, slots(), note),
        "heuristics": lambda note: train(images, times, folder, None, slots(), "cuDNN's guesses", note),
        "inference": lambda note: inference(times, note, compiled=False),
        "compiled": lambda note: train(images, times, folder, "default", slots(), "compiled", note),
        "compiled inference": lambda note: inference(times, note, compiled=True),
        "graphs": lambda note: train(images, times, folder, "reduce-overhead", slots(), "compiled, graphs", note),
    }
    started = time.perf_counter()
    for part in wanted:
        # torchvision's regions change in number from step to step, and each would be searched for anew.
        torch.backends.cudnn.benchmark = part not in ("torchvision", "heuristics")

        def note(name: str, value: Any, part: str = part) -> None:
            """Keeps a result at once, so that what breaks off later loses nothing."""
            results.setdefault(part, {})[name] = value
            print(f"{time.perf_counter() - started:5.0f} s  {part}, {name}: {json.dumps(value)}", flush=True)
            out.write_text(json.dumps(results, indent=2) + "\n")

        try:
            parts[part](note)
        except Exception as error:  # the other parts go on
            note("error", f"{type(error).__name__}: {str(error)[:300]}")
        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
