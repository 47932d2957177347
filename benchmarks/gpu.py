"""Mask R-CNN on one GPU: images a second, memory, where the time goes, and the same work by torchvision if it is there.

    python benchmarks/gpu.py results.json [quick] [part ...]

ResNet-50-FPN with frozen norms, stem and C2 frozen, bfloat16, pictures of 800 x 1333 on a canvas of 800 x 1344, already
on the device; SGD with momentum. No weights: but objects of the sizes of COCO's, 20 a picture, so that there are
regions to learn from, and as many proposals and mask regions in both. Parts: torchvision, train, recorded
(cuda_graphs=true), few (2 pictures, plain and recorded and torchvision's), inference, operators, norms (without the
fused ones), heuristics (cuDNN guesses its algorithms), run (train.py from files), validation, compiled, and "compiled
inference"; all but the last two, if none is named. Parts after torchvision have as many mask slots as it had regions;
without it, 64 a picture. `quick` measures fewer steps. Each result is written at once.
"""

import contextlib
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_operators import operators
from gpu_run import run, validation
from gpu_timing import HEIGHT, WIDTH, Note, milliseconds
from gpu_versions import versions
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torchvision_workload import torchvision_model, torchvision_pictures, torchvision_targets
from workload import OBJECTS, calibrate, make_batch, make_model, total

from maskrcnn.engine.profile import PARTS, name_parts, time_of_parts
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.engine.recorded_losses import RecordedLosses
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Batch


def on_gpu(batch: Batch) -> Batch:
    moved: Batch = tree_map(lambda tensor: tensor.cuda(), batch)
    return moved


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
        train(images, times, folder, slots, "norms in torch", note)
    finally:
        layers.LARGE = large


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


def train(
    images: int,
    times: int,
    folder: Path,
    slots: int,
    name: str,
    note: Note,
    compiled: bool = False,
    recorded: bool = False,
) -> None:
    batch = on_gpu(make_batch(images, HEIGHT, WIDTH))
    model = make_model(f"model.sampler.mask_slots={slots}").cuda()
    calibrate(model, lambda: model.extract(model.normalise(batch.images[:2], batch.image_sizes[:2])))
    forward: Any = model
    if compiled:
        torch._dynamo.reset()
        forward = torch.compile(model, fullgraph=True)
    if recorded:
        forward = partial(RecordedLosses(), model)
    step = make_step(model, lambda: total(forward(batch)))
    found = measure_step(step, images, times)
    note(name, found)
    with torch.autocast("cuda", torch.bfloat16):
        found["loss"] = round(total(forward(batch)).item(), 3)
    found["mask slots"] = slots
    note(name, found)
    if name == "eager":
        kernels_of(step, folder / "kernels.txt")
        note("parts, forward and backward ms", parts_of(model, step, 2))


def torchvision_train(batch: Batch, times: int, channels_last: bool) -> dict[str, Any]:
    """As torchvision's own training script with --amp: float16 with loss scaling. channels_last: with bfloat16 too."""
    model = torchvision_model(HEIGHT, WIDTH).cuda().train()
    if channels_last:
        model.to(memory_format=torch.channels_last)
    pictures, targets = torchvision_pictures(batch), torchvision_targets(batch)
    regions: list[int] = []
    hook = model.roi_heads.mask_roi_pool.register_forward_hook(lambda _, __, out: regions.append(len(out)))
    scaler = None if channels_last else torch.amp.GradScaler("cuda")
    step = make_step(model, lambda: sum(model(pictures, targets).values()), scaler)  # type: ignore[arg-type, return-value]
    found = measure_step(step, len(pictures), times)
    hook.remove()
    found["mask regions"] = round(statistics.mean(regions))
    return found


def with_torchvision(images: int, times: int, note: Note) -> None:
    batch = on_gpu(make_batch(images, HEIGHT, WIDTH))
    for name, channels_last in (("float16 as shipped", False), ("bfloat16, channels_last", True)):
        note(name, torchvision_train(batch, times, channels_last))
        gc.collect()
        torch.cuda.empty_cache()


def few(times: int, folder: Path, note: Note) -> None:
    """Two pictures: the host cannot start kernels as fast as they end."""
    train(2, times, folder, 64, "plain", note)
    train(2, times, folder, 64, "recorded", note, recorded=True)
    with_torchvision(2, times, note)


def inference(times: int, note: Note, compiled: bool) -> None:
    """One picture on the device, to detections on the device, masks of all 100 slots included."""
    batch = on_gpu(make_batch(1, HEIGHT, WIDTH))
    model = make_model("model.box_head.score_threshold=0.0").cuda().eval()
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
    recorded = partial(RecordedDetect(), model)
    note("recorded", milliseconds(lambda: detect(recorded), times))
    with contextlib.suppress(ImportError):
        theirs = torchvision_model(HEIGHT, WIDTH).cuda().eval()
        theirs.roi_heads.score_thresh = 0.0
        picture = torchvision_pictures(batch)

        def work() -> None:
            with torch.inference_mode(), torch.autocast("cuda", torch.float16):
                theirs(picture)

        note("torchvision, float16", milliseconds(work, times))


def main() -> None:
    if not sys.argv[1:]:
        sys.exit("error: give the file for the results: python benchmarks/gpu.py results.json")
    path, *words = sys.argv[1:]
    quick = "quick" in words
    wanted = [word for word in words if word != "quick"]
    if not torch.cuda.is_available():
        sys.exit(f"error: torch {torch.__version__} sees no GPU; benchmarks/cpu.py measures on a CPU")
    images, times = (16, 5) if quick else (16, 20)
    out = Path(path)
    folder = out.parent
    results: dict[str, Any] = {
        "hardware": torch.cuda.get_device_name(),
        **versions(),
        "date": time.strftime("%Y-%m-%d"),
        "work": f"{images} pictures of {HEIGHT} x {WIDTH}, {OBJECTS} objects each",
    }

    def slots() -> int:
        """As many regions for the mask head as torchvision had on average, in steps of 64; else 64 a picture."""
        theirs = [one["mask regions"] for one in results.get("torchvision", {}).values() if "mask regions" in one]
        return -(-max(theirs, default=images * 64) // 64) * 64

    parts: dict[str, Callable[[Note], None]] = {
        "operators": lambda note: operators(times, note),
        "torchvision": lambda note: with_torchvision(images, times, note),
        "train": lambda note: train(images, times, folder, slots(), "eager", note),
        "recorded": lambda note: train(images, times, folder, slots(), "recorded", note, recorded=True),
        "few": lambda note: few(times, folder, note),
        "norms": lambda note: without_fused_norms(images, times, folder, slots(), note),
        "heuristics": lambda note: train(images, times, folder, slots(), "cuDNN's guesses", note),
        "inference": lambda note: inference(times, note, compiled=False),
        "run": lambda note: run(images, quick, note),
        "validation": lambda note: validation(quick, note),
        "compiled": lambda note: train(images, times, folder, slots(), "compiled", note, compiled=True),
        "compiled inference": lambda note: inference(times, note, compiled=True),
    }
    if unknown := set(wanted) - set(parts):
        sys.exit(f"error: there is no part {min(unknown)!r}. Parts: {', '.join(parts)}")
    wanted = wanted or [part for part in parts if not part.startswith("compiled")]
    started = time.perf_counter()
    for part in wanted:
        # torchvision's regions change in number from step to step, and each would be searched for anew.
        torch.backends.cudnn.benchmark = part not in ("torchvision", "few", "heuristics")

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
