"""A trained model for pictures from anywhere."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from maskrcnn.config.build import build
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import Sizing, prepare_picture
from maskrcnn.engine.detector import detect
from maskrcnn.engine.restore import Restored, restore
from maskrcnn.evaluation.results import Result, coco_results
from maskrcnn.evaluation.rle import decode

STRIDE = 32  # canvases are multiples of the coarsest feature map's stride


class Prediction(NamedTuple):
    """Instances found in one picture, best first."""

    boxes: np.ndarray  # [n, 4] float64, x1, y1, x2, y2 in pixels of the picture
    scores: np.ndarray  # [n] float64, 0..1
    labels: np.ndarray  # [n] int64, 0..K-1
    names: list[str]  # the class of each
    masks: np.ndarray  # [n, H, W] bool
    results: list[Result]  # the same in COCO's format, category_id = label


class Predictor:
    """Finds instances in single pictures.

    Args:
        restored: the model and its configuration.
        device: such as "cpu" or "cuda".

    Attributes:
        read: reads pictures as in training.
    """

    def __init__(self, restored: Restored, device: str) -> None:
        self.model = restored.model.to(device)
        self.classes, self.category_ids = restored.classes, restored.category_ids
        self.device = device
        data = restored.config["data"]
        self.read = PictureReader(data["channels"], data["max_value"])
        self.resize: Sizing = build(data["resize"], [], "data.resize")
        self.paste = restored.config["callbacks"]["mean_ap"]["paste"]

    def predict(self, image: np.ndarray | str | Path, score_threshold: float = 0.5) -> Prediction:
        """Finds the instances in a picture.

        Args:
            image: [h, w, C] uint8 with the C channels that the model was trained on (RGB if three), or a file.
            score_threshold: what scores less is left out.

        Raises:
            ValueError: the picture cannot be read.
        """
        pixels = image if isinstance(image, np.ndarray) else self.read(Path(image), None)
        channels = self.read.channels
        if pixels.ndim != 3 or pixels.shape[2] != channels or pixels.dtype != np.uint8:
            wanted = f"[h, w, {channels}] uint8{' RGB' if channels == 3 else ''}"
            raise ValueError(f"a picture must be {wanted}; this one is {list(pixels.shape)} {pixels.dtype}")
        resized = prepare_picture(pixels, self.resize)
        height, width = resized.image.shape[:2]
        canvas = torch.zeros(
            1, channels, -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE, dtype=torch.uint8
        )
        canvas[0, :, :height, :width] = torch.from_numpy(np.ascontiguousarray(resized.image)).permute(2, 0, 1)
        size = torch.tensor([[height, width]])
        detections = detect(self.model, canvas.to(self.device), size.to(self.device))
        original = torch.tensor([resized.original_size])
        found = coco_results(detections, size, original, torch.tensor([0]), paste=self.paste)[0]
        results = [result for result in found if result["score"] >= score_threshold]
        boxes = np.array([result["bbox"] for result in results], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        masks = [decode(result["segmentation"]) for result in results]
        labels = np.array([result["category_id"] for result in results], np.int64)
        return Prediction(
            boxes=boxes,
            scores=np.array([result["score"] for result in results], np.float64),
            labels=labels,
            names=[self.classes[label] for label in labels],
            masks=np.stack(masks) if masks else np.zeros((0, *pixels.shape[:2]), bool),
            results=results,
        )


def load(path: str | Path, device: str = "cpu", plugins: list[str] | None = None) -> Predictor:
    """Reads a checkpoint; it needs nothing else: `maskrcnn.load("best.ckpt").predict(image)`.

    Args:
        path: of the checkpoint; device: such as "cpu" or "cuda"; plugins: packages of yours that it names.

    Raises:
        ValueError: the file is refused; the message says why.
    """
    return Predictor(restore(path, [], plugins or []), device)
