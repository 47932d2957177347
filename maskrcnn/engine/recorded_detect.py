"""Inference on a GPU, recorded once for each shape."""

import threading
import warnings

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from maskrcnn.engine.detector import detect
from maskrcnn.engine.recordings import (
    CannotRecord,
    Memory,
    Recordings,
    load,
    recording,
    shape_of,
    state_of,
    without_waiting,
)
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Detections

LOCK = threading.Lock()  # replays share memory, and what looks for waiting looks at all threads


class RecordedDetect:
    """Finds what `detect` finds; on a GPU by replaying a recording from the second time that a shape comes.

    There all mask slots are drawn, and given back, also empty ones: the number of full ones would have to be waited
    for, and the host can prepare the next pictures meanwhile. A model that cannot be recorded, as a part
    of it waits for the GPU, such as RoIAlign with `sampling` 0, works plainly, which is said; and so does from then on
    what ran out of memory, since recordings hold some.
    """

    def __init__(self) -> None:
        self.recordings: Recordings[_Recording] = Recordings()
        self.records = True
        self.looked = False  # whether the model waits

    def __call__(self, model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Detections:
        """Finds instances.

        Args:
            model: in evaluation mode.
            images: [B, C, H, W]; image_sizes: [B, 2] height and width of the content.
        """
        if not on_gpu(images) or not self.records:
            return detect(model, images, image_sizes)
        with LOCK, torch.inference_mode():
            try:
                return self._find(model, images, image_sizes)
            except CannotRecord as error:
                warnings.warn(
                    f"{error}, so that inference is not recorded and takes longer than it could", stacklevel=2
                )
            except torch.OutOfMemoryError:
                pass
            self.records = False
            self.recordings.forget()
            return detect(model, images, image_sizes)

    def _find(self, model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Detections:
        inputs = images, image_sizes

        def plain() -> Detections:
            if self.recordings.full:
                return detect(model, images, image_sizes)
            found = model.detect(images, image_sizes) if self.looked else without_waiting(lambda: model.detect(*inputs))
            self.looked = True
            return found

        return self.recordings.work(
            state_of(model),
            shape_of(inputs),
            plain,
            lambda memory: _Recording(model, inputs, memory),
            lambda kept: kept.replay(inputs),
        )

    def forget(self) -> None:
        """Gives the memory of the recordings back."""
        self.recordings.forget()


def on_gpu(images: Tensor) -> bool:
    """Whether CUDA graphs can be had."""
    return images.is_cuda


class _Recording:
    """`MaskRCNN.detect` for inputs of one shape."""

    def __init__(self, model: MaskRCNN, inputs: tuple[Tensor, Tensor], memory: Memory) -> None:
        self.inputs: tuple[Tensor, Tensor] = tree_map(torch.clone, inputs)
        self.free = memory.free
        self.graph = torch.cuda.CUDAGraph()
        with recording(self.graph, memory):
            self.found = model.detect(*self.inputs)

    def replay(self, inputs: tuple[Tensor, Tensor]) -> Detections:
        self.free.wait()
        load(self.inputs, inputs)
        self.graph.replay()
        found: Detections = tree_map(torch.clone, self.found)
        self.free.record()
        return found
