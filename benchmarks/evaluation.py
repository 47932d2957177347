"""Evaluation beside pycocotools' way: CPU seconds from predicted masks to COCO's 24 numbers.

    python benchmarks/evaluation.py [quick]

5,000 pictures of 480 x 640 with 7 objects of 80 classes and 100 detections of 28 x 28 each, made in parts of 50. Ours
pastes each mask within its box, encodes the crops of a picture at once, and matches boxes and masks by hotcoco.
pycocotools' way pastes each mask into a bitmap of the whole picture, encodes that, and evaluates both by COCOeval.
Pasting and encoding are measured on all masks for ours, and for pycocotools' way on every 20th part, times the masks
in all; both match all detections, and their numbers are compared. CPU seconds are those of all threads of the process,
to which other work on the machine matters less than to a clock. Prints its findings; at full size it writes
benchmarks/results/evaluation.json too. `quick` uses a hundredth, and writes nothing.
"""

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arguments import is_quick
from pycocotools import mask as coco_mask

from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.results import coco_results
from maskrcnn.evaluation.rle import Rle, encode_crops
from maskrcnn.ops.paste import paste_bitmap, paste_crop
from maskrcnn.structures import Detections

HEIGHT, WIDTH, CLASSES, OBJECTS, DETECTIONS, CELLS = 480, 640, 80, 7, 100, 28
PART, EVERY = 50, 20  # pictures of a part, and which parts pycocotools' way pastes


def draw_masks(count: int, draw: np.random.Generator) -> np.ndarray:
    """Star-like blobs with soft edges, probabilities [count, 28, 28] float32."""
    y, x = (np.mgrid[:CELLS, :CELLS] + 0.5) / (CELLS / 2) - 1
    waves, phase, depth = draw.integers(2, 6, (count, 1, 1)), draw.uniform(0, 6, (count, 1, 1)), 0.25
    reach = 0.95 - depth * draw.random((count, 1, 1)) * (1 + np.sin(waves * np.arctan2(y, x) + phase))
    masks: np.ndarray = 1 / (1 + np.exp(12 * (np.hypot(x, y) - reach)))
    return masks.astype(np.float32)


def draw_boxes(count: int, draw: np.random.Generator) -> np.ndarray:
    """Boxes [count, 4] float32 of COCO's sizes: a geometric mean of 70 pixels, 12 to 450."""
    side = np.exp(draw.normal(4.2, 0.9, (count, 2))).clip(12, 450)
    corner = draw.uniform(0, 1, (count, 2)) * (np.array([WIDTH, HEIGHT]) - side)
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


def draw_part(first: int, pictures: int) -> tuple[Detections, list[dict[str, Any]]]:
    """Detections of some pictures, and their ground truth: every object is found some times, more or less well."""
    draw = np.random.default_rng(first)
    objects, masks = draw_boxes(pictures * OBJECTS, draw), draw_masks(pictures * OBJECTS, draw)
    labels = draw.integers(0, CLASSES, pictures * OBJECTS)
    known = [
        {
            "image_id": first + i // OBJECTS,
            "category_id": int(labels[i]),
            "iscrowd": 0,
            "bbox": [*objects[i, :2].tolist(), *(objects[i, 2:] - objects[i, :2]).tolist()],
            "segmentation": encode_crops(
                [paste_crop(masks[i], objects[i], (HEIGHT, WIDTH), "continuous")], (HEIGHT, WIDTH)
            )[0],
        }
        for i in range(len(objects))
    ]
    of = draw.integers(0, OBJECTS, (pictures, DETECTIONS)) + np.arange(pictures)[:, None] * OBJECTS
    near = draw.random((pictures, DETECTIONS)) < 0.3
    boxes = draw_boxes(pictures * DETECTIONS, draw).reshape(pictures, DETECTIONS, 4)
    boxes = np.where(near[..., None], objects[of] + draw.normal(0, 3, boxes.shape), boxes)
    boxes[..., :2] = boxes[..., :2].clip(0, [WIDTH - 4, HEIGHT - 4])
    boxes[..., 2:] = np.maximum(boxes[..., 2:], boxes[..., :2] + 2)
    found = draw_masks(pictures * DETECTIONS, draw).reshape(pictures, DETECTIONS, CELLS, CELLS)
    found = np.where(near[..., None, None], masks[of], found)
    classes = np.where(near, labels[of], draw.integers(0, CLASSES, near.shape))
    scores = np.sort(draw.random(near.shape), axis=1)[:, ::-1].copy()
    detections = Detections(
        torch.from_numpy(boxes.astype(np.float32)),
        torch.from_numpy(scores.astype(np.float32)),
        torch.from_numpy(classes),
        torch.from_numpy(found),
        torch.ones(near.shape, dtype=torch.bool),
    )
    return detections, known


def encode_whole(detections: Detections) -> list[Rle]:
    """Masks by way of bitmaps of whole pictures."""
    encoded = []
    for boxes, masks in zip(detections.boxes.numpy(), detections.masks.numpy()):
        for box, mask in zip(boxes, masks):
            bitmap = paste_bitmap(mask, box, (HEIGHT, WIDTH), "continuous")
            rle = coco_mask.encode(np.asfortranarray(bitmap, np.uint8))
            encoded.append(Rle(size=list(rle["size"]), counts=rle["counts"].decode()))
    return encoded


def main() -> None:
    quick = is_quick()
    pictures = 50 if quick else 5000
    torch.set_num_threads(1)
    sizes = torch.tensor([[HEIGHT, WIDTH]]).expand(PART, 2)
    seconds = {"ours": 0.0, "pycocotools": 0.0}
    predictions, annotations, sampled = {}, [], 0
    for number, first in enumerate(range(0, pictures, PART)):
        detections, known = draw_part(first, PART)
        annotations += known
        start = time.process_time()
        found = coco_results(detections, sizes, sizes, torch.arange(first, first + PART), paste="continuous")
        seconds["ours"] += time.process_time() - start
        predictions.update(found)
        if number % EVERY == 0:
            start = time.process_time()
            encoded = encode_whole(detections)
            seconds["pycocotools"] += time.process_time() - start
            sampled += len(encoded)
            assert encoded == [result["segmentation"] for results in found.values() for result in results]
    masks = pictures * DETECTIONS
    paste = {"ours": seconds["ours"], "pycocotools": seconds["pycocotools"] * masks / sampled}
    for number, annotation in enumerate(annotations, start=1):
        annotation |= {"id": number, "area": float(coco_mask.area(annotation["segmentation"]))}
    truth = {
        "images": [{"id": i, "height": HEIGHT, "width": WIDTH} for i in range(pictures)],
        "categories": [{"id": k, "name": str(k)} for k in range(CLASSES)],
        "annotations": annotations,
    }
    match, scores = {}, {}
    for name, backend in (("ours", "hotcoco"), ("pycocotools", "pycocotools")):
        evaluator = CocoEvaluator(truth, [str(k) for k in range(CLASSES)], max_detections=100, backend=backend)
        start = time.process_time()
        evaluator.update(predictions)
        scores[name] = evaluator.compute()
        match[name] = time.process_time() - start
    assert scores["ours"] == scores["pycocotools"]
    results: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "pictures": pictures,
        "masks": masks,
        "masks that pycocotools' way pasted": sampled,
        "mask AP of both": round(scores["ours"]["segm/AP"], 4),
    }
    for name in ("ours", "pycocotools"):
        results[f"CPU seconds to paste and encode, {name}"] = round(paste[name], 2)
        results[f"CPU seconds to match boxes and masks, {name}"] = round(match[name], 2)
        results[f"CPU seconds in all, {name}"] = round(paste[name] + match[name], 2)
    for what, part in (("paste and encode", paste), ("match", match)):
        results[f"times faster: {what}"] = round(part["pycocotools"] / part["ours"], 1)
    total = {name: paste[name] + match[name] for name in paste}
    results["times faster in all"] = round(total["pycocotools"] / total["ours"], 1)
    for key, value in results.items():
        print(f"{key}: {value}")
    if not quick:
        (Path(__file__).parent / "results" / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
