"""A trained model for pictures from anywhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import Sizing, canvas_side, prepare_picture
from maskrcnn.engine.detector import Detect
from maskrcnn.engine.recorded_detect import RecordedDetect
from maskrcnn.engine.restore import Restored, restore
from maskrcnn.evaluation.results import Result, coco_results
from maskrcnn.modeling.stages import Stages, stages
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.prediction.thresholds import Thresholds
from maskrcnn.prediction.tiles import Tiling, find_in_tiles

WHOLE = Tiling(size=None, overlap=0)
# Of Lightning's names of precisions, old ones too.
MIXED = {"bf16-mixed": torch.bfloat16, "bf16": torch.bfloat16, "16-mixed": torch.float16, "16": torch.float16}


def canvas_of(picture: np.ndarray) -> tuple[int, int]:
    """Height and width of the canvas for a picture [h, w, C] of the network's size."""
    return canvas_side(picture.shape[0]), canvas_side(picture.shape[1])


class Predictor:
    """Finds instances in pictures: on a GPU in the mixed precision that its configuration says, elsewhere in float32.

    Args:
        restored: the model and its configuration.
        device: such as "cpu" or "cuda".
        batch_size: pictures, or tiles of one, that the network sees at once, if they are of one size.

    Attributes:
        read: reads pictures as in training.
        detect: how instances are found; a `maskrcnn.engine.tta.Tta` finds them in several views.

    Raises:
        ValueError: the device is not there, or the batch size not positive.
    """

    def __init__(self, restored: Restored, device: str, batch_size: int) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        try:
            self.model = restored.model.to(device)
        except (RuntimeError, AssertionError) as error:  # the latter of a torch without CUDA
            reason = str(error).splitlines()[0]
            raise ValueError(f"device={device} cannot be used ({reason}); device=cpu works everywhere") from None
        self.classes, self.category_ids = restored.classes, restored.category_ids
        self.device, self.batch_size = torch.device(device), batch_size
        precision = str(restored.config["trainer"]["precision"])
        self.dtype = MIXED.get(precision) if self.device.type == "cuda" else None
        self.detect: Detect = RecordedDetect()
        data = restored.config["data"]
        stretch = build(data["stretch"], restored.config["plugins"], "data.stretch")
        self.read = PictureReader(data["channels"], data["max_value"], stretch)
        self.resize: Sizing = build(data["resize"], restored.config["plugins"], "data.resize")
        self.paste = restored.config["callbacks"]["mean_ap"]["paste"]

    def predict(
        self,
        image: np.ndarray | str | Path | bytes,
        score_threshold: float | Mapping[str, float] = 0.5,
        tiling: Tiling = WHOLE,
        as_read: bool = False,
    ) -> Prediction:
        """Finds the instances in a picture, see `predict_batch`."""
        return self.predict_batch([image], score_threshold, tiling, as_read=as_read)[0]

    def predict_batch(
        self,
        images: Sequence[np.ndarray | str | Path | bytes],
        score_threshold: float | Mapping[str, float] = 0.5,
        tiling: Tiling = WHOLE,
        tile_done: Callable[[int, int], None] = lambda done, total: None,
        as_read: bool = False,
    ) -> list[Prediction]:
        """Finds the instances in each of some pictures.

        Args:
            images: [h, w, C] uint8 each, of any size, with the C channels that the model was trained on (RGB if three);
                or files, by their paths or as bytes.
            score_threshold: what scores less is left out; one number, or one by class, "default" for the others.
            tiling: how large pictures are cut, `maskrcnn.Tiling(size=512, overlap=64)`.
            tile_done: told how many tiles of a picture are done, and how many it has.
            as_read: arrays come from `read`, so that `data.stretch` is applied already.

        Raises:
            ValueError: an array is of another kind, a file is no picture, a class is unknown, or the model gives
                numbers that are not finite.
            OSError: there is no such file.
        """
        if isinstance(images, str | Path | bytes) or (isinstance(images, np.ndarray) and images.ndim < 4):
            if isinstance(images, np.ndarray):
                one = f"{list(images.shape)} {images.dtype}"
            else:
                one = f"{len(images)} bytes" if isinstance(images, bytes) else repr(str(images))
            raise ValueError(f"predict_batch takes a list of pictures, not {one} alone; predict takes one")
        thresholds = Thresholds(score_threshold, self.classes)

        def find(pictures: list[np.ndarray]) -> list[list[Result]]:
            return [thresholds.keep(results) for results in self.find(pictures)]

        pictures = [self._picture(image, as_read) for image in images]
        windows = [tiling.windows(*picture.shape[:2]) for picture in pictures]
        whole = iter(find([picture for picture, parts in zip(pictures, windows) if len(parts) == 1]))
        found = [
            next(whole)
            if len(parts) == 1
            else find_in_tiles(find, picture, parts, tiling.overlap, self.batch_size, tile_done)
            for picture, parts in zip(pictures, windows)
        ]
        return [Prediction(picture.shape[:2], self.classes, results) for picture, results in zip(pictures, found)]

    def find(self, pictures: list[np.ndarray]) -> list[list[Result]]:
        """All instances in each of some whole pictures [h, w, C] uint8, best first, whatever they score.

        What is found in a picture does not depend on the others beyond rounding: the network sees together those only
        that fill the same canvas.

        Raises:
            ValueError: the model gives numbers that are not finite.
        """
        resized = [prepare_picture(picture, self.resize) for picture in pictures]
        canvases = [canvas_of(picture) for picture in resized]
        results: list[list[Result]] = [[] for _ in pictures]
        for canvas in dict.fromkeys(canvases):
            same = [i for i, other in enumerate(canvases) if other == canvas]
            for start in range(0, len(same), self.batch_size):
                chosen = same[start : start + self.batch_size]
                with torch.device("cpu"):  # wherever the program has new tensors made
                    images, sizes = self._batch([resized[i] for i in chosen], canvas)
                    with self._at_work():
                        detections = self.detect(self.model, images, sizes)
                    originals = torch.tensor([pictures[i].shape[:2] for i in chosen])
                    found = coco_results(detections, sizes.cpu(), originals, torch.tensor(chosen), paste=self.paste)
                for i in chosen:
                    results[i] = found[i]
        return results

    def stages(self, image: np.ndarray | str | Path | bytes, as_read: bool = False) -> Stages:
        """What every step of the network makes of a whole picture, as tensors; `predict` finds the same.

        Args:
            image, as_read: as `predict_batch` takes them.

        Raises:
            ValueError: the picture cannot be read.
        """
        pixels = self._picture(image, as_read)
        resized = prepare_picture(pixels, self.resize)
        with torch.device("cpu"), self._at_work():
            return stages(self.model, *self._batch([resized], canvas_of(resized)))

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Within it, the network works in its precision and, of several GPUs, on its own: kernels go to the current."""
        with ExitStack() as stack:
            if self.device.type == "cuda":
                stack.enter_context(torch.cuda.device(self.device))
            stack.enter_context(torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None))
            yield

    def _batch(self, pictures: list[np.ndarray], canvas: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Pictures [h, w, C] on canvases, [B, C, H, W] uint8, and their heights and widths [B, 2]."""
        images = torch.zeros(len(pictures), self.read.channels, *canvas, dtype=torch.uint8)
        for image, picture in zip(images, pictures):
            height, width = picture.shape[:2]
            image[:, :height, :width] = torch.from_numpy(np.require(picture, requirements=("C", "W"))).permute(2, 0, 1)
        sizes = torch.tensor([picture.shape[:2] for picture in pictures])
        return images.to(self.device), sizes.to(self.device)

    def _picture(self, image: np.ndarray | str | Path | bytes, as_read: bool) -> np.ndarray:
        if isinstance(image, str | Path):
            return self._check(self.read(Path(image), None))
        if isinstance(image, bytes):
            return self._check(self.read.from_bytes(image))
        if not isinstance(image, np.ndarray):
            raise ValueError(
                f"a picture is a file, its bytes or a NumPy array {self._wanted()}, not {type(image).__name__}: of "
                "PIL's, give numpy.array(picture.convert('RGB')), of a tensor [C, h, w], "
                "tensor.permute(1, 2, 0).numpy()"
            )
        pixels = self._check(image)
        return pixels if as_read or self.read.stretch is None else self.read.stretch(pixels)

    def _check(self, pixels: np.ndarray) -> np.ndarray:
        channels = self.read.channels
        if pixels.ndim != 3 or pixels.shape[2] != channels or pixels.dtype != np.uint8 or 0 in pixels.shape:
            remedy = _remedy(pixels, channels)
            raise ValueError(
                f"a picture must be {self._wanted()}; this one is {list(pixels.shape)} {pixels.dtype}{remedy}"
            )
        return pixels

    def _wanted(self) -> str:
        return f"[h, w, {self.read.channels}] uint8{' RGB' if self.read.channels == 3 else ''}"


def _remedy(pixels: np.ndarray, channels: int) -> str:
    """How an array of another kind becomes a picture, as the end of a sentence; empty where that is not known."""
    if pixels.dtype != np.uint8:
        return ": bring its values to whole numbers from 0 to 255, or give the file, which is read as in training"
    if channels == 3 and pixels.shape[2:] in ((), (1,)):
        return ": numpy.dstack([picture] * 3) makes a grey one RGB"
    if pixels.ndim == 3 and pixels.shape[0] == channels:
        return ": give picture.transpose(1, 2, 0)"
    return ""


def load(path: str | Path, device: str = "cpu", plugins: list[str] | None = None, batch_size: int = 1) -> Predictor:
    """Reads a checkpoint; it needs nothing else: `maskrcnn.load("best.ckpt").predict(image)`.

    Args:
        path: of the checkpoint; device: such as "cpu" or "cuda"; plugins: packages of yours that it names.
        batch_size: pictures, or tiles of one, that the network sees at once.

    Raises:
        ValueError: the file is refused; the message says why.
    """
    return Predictor(restore(path, [], plugins or []), device, batch_size)
