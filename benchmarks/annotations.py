"""Reading annotations of COCO train's size: seconds the first and the second time, and memory that each worker adds.

    python benchmarks/annotations.py [quick]

118,000 pictures (empty files) with 860,000 polygons of 25 points, written to a temporary folder. Worker processes read
every annotation once; memory is the proportional set size (Linux: /proc/self/smaps_rollup) of all processes together,
less that of as many workers that read nothing. Prints its findings; at full size it writes
benchmarks/results/annotations.json too. `quick` uses a hundredth, and writes nothing.
"""

import gc
import json
import multiprocessing
import os
import platform
import re
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from arguments import is_quick

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.records import Record
from maskrcnn.data.source import Split

HEIGHT, WIDTH, CLASSES, POINTS = 480, 640, 80, 25
WORKERS = [1, 2, 4]


def write_dataset(root: Path, pictures: int, objects: int) -> Split:
    """Writes empty picture files, and an annotation file with star-like polygons of 3 to 200 pixels' radius."""
    split = Split(root / "train", root / "train.json")
    split.images.mkdir()
    rng = np.random.default_rng(0)
    names = [f"{i:012d}.jpg" for i in range(pictures)]
    for name in names:
        (split.images / name).touch()
    angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    with split.annotations.open("w") as file:
        images = [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)]
        categories = [{"id": k, "name": f"class {k}"} for k in range(CLASSES)]
        file.write(f'{{"images": {json.dumps(images)}, "categories": {json.dumps(categories)}, "annotations": [')
        for i, picture in enumerate(np.sort(rng.integers(0, pictures, objects)).tolist()):
            radius = np.exp(rng.normal(3.6, 0.8)).clip(3, 200) * rng.uniform(0.6, 1, POINTS)
            x = (rng.uniform(0, WIDTH) + radius * np.cos(angles)).clip(0, WIDTH)
            y = (rng.uniform(0, HEIGHT) + radius * np.sin(angles)).clip(0, HEIGHT)
            annotation = {
                "id": i + 1,
                "image_id": picture,
                "category_id": i % CLASSES,
                "segmentation": [np.stack((x, y), axis=1).ravel().round(2).tolist()],
                "bbox": np.round([x.min(), y.min(), np.ptp(x), np.ptp(y)], 2).tolist(),
                "area": round(float(np.ptp(x) * np.ptp(y)) / 2, 2),
                "iscrowd": 0,
            }
            file.write(", " * (i > 0) + json.dumps(annotation))
        file.write("]}")
    return split


def read_part(records: Any, part: int, parts: int, together: Any, answers: Any) -> None:
    """What a worker does: reads its part, then says how much memory it holds while all others hold theirs."""
    gc.collect()  # touches, and so copies, what the parent process had: the same for those that read nothing
    objects = 0
    for index in range(part, len(records), parts):
        record: Record = records[index]
        objects += len(record.objects.masks)
    together.wait()
    memory = proportional_set_size()
    together.wait()
    answers.put((objects, memory))


def proportional_set_size() -> int:
    """kB of this process, pages that others share counted in proportion."""
    match = re.search(r"^Pss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])


def total_memory(records: Any, workers: int, method: str) -> tuple[int, float]:
    """Objects that the workers saw, and megabytes of all workers and this process while all are there."""
    context = multiprocessing.get_context(method)
    together, answers = context.Barrier(workers + 1), context.Queue()
    processes = [
        context.Process(target=read_part, args=(records, part, workers, together, answers)) for part in range(workers)
    ]
    for process in processes:
        process.start()
    together.wait()
    own = proportional_set_size()
    together.wait()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return sum(objects for objects, _ in found), (own + sum(memory for _, memory in found)) / 1e3


def main() -> None:
    quick = is_quick()
    pictures, objects = (1180, 8600) if quick else (118_000, 860_000)
    warnings.simplefilter("ignore", UserWarning)  # polygons outside their pictures
    results: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "pictures": pictures,
        "objects": objects,
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        split = write_dataset(Path(folder), pictures, objects)
        results["MB of JSON"] = round(split.annotations.stat().st_size / 1e6, 1)
        for name in ("first", "second"):
            start = time.perf_counter()
            records = read_annotations(split).records
            results[f"seconds to read, {name} time"] = round(time.perf_counter() - start, 2)
        (cached,) = (Path(folder) / "maskrcnn" / "annotations").iterdir()
        results["MB of cache"] = round(cached.stat().st_size / 1e6, 1)
        for method in ("fork", "forkserver"):
            memory = {}
            for workers in WORKERS:
                idle = total_memory([], workers, method)[1]
                seen, busy = total_memory(records, workers, method)
                assert seen == len(records.label)
                memory[workers] = busy - idle
            results[f"MB that reading all takes in 1, 2, 4 processes ({method})"] = [
                round(m, 1) for m in memory.values()
            ]
            results[f"MB for each further process ({method})"] = round((memory[4] - memory[1]) / 3, 1)
    for key, value in results.items():
        print(f"{key}: {value}")
    if not quick:
        (Path(__file__).parent / "results" / "annotations.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
