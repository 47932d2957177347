"""Inference on a GPU, recorded once for each shape."""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from maskrcnn.engine.detector import detect, trim
from maskrcnn.engine.recordings import Recordings, Waits, key_of, load, recording, without_waiting
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.structures import Detections


class RecordedDetect:
    """Finds what `detect` finds; on a GPU by replaying a recording from the second time that a shape comes.

    There all mask slots are drawn: their number would have to be waited for. A model with a part that waits for the
    GPU, such as RoIAlign with `sampling` 0, is not recorded, and said to be so.
    """

    def __init__(self) -> None:
        self.recordings: Recordings[_Recording] = Recordings()
        self.waits = False

    def __call__(self, model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Detections:
        """Finds instances.

        Args:
            model: in evaluation mode.
            images: [B, C, H, W]; image_sizes: [B, 2] height and width of the content.
        """
        if not images.is_cuda or self.waits:
            return detect(model, images, image_sizes)
        with torch.inference_mode():
            inputs = images, image_sizes
            kept = self.recordings.find(key_of(model, inputs), lambda pool: _Recording(model, inputs, pool))
            if kept is not None:
                found: Detections = tree_map(torch.clone, trim(kept.replay(inputs)))
                return found
            try:
                return trim(without_waiting(lambda: model.detect(images, image_sizes)))
            except Waits as error:
                self.waits = True
                warnings.warn(
                    f"the model waits for the GPU ({str(error.__cause__).splitlines()[0]}), so that inference is not "
                    "recorded and takes longer than it could",
                    stacklevel=2,
                )
                return detect(model, images, image_sizes)

    def forget(self) -> None:
        """Gives the memory of the recordings back."""
        self.recordings.forget()


class _Recording:
    """`MaskRCNN.detect` for inputs of one shape."""

    def __init__(self, model: MaskRCNN, inputs: tuple[Tensor, Tensor], pool: Any) -> None:
        self.inputs: tuple[Tensor, Tensor] = tree_map(torch.clone, inputs)
        self.graph = torch.cuda.CUDAGraph()
        with recording(self.graph, pool):
            self.found = model.detect(*self.inputs)

    def replay(self, inputs: tuple[Tensor, Tensor]) -> Detections:
        """The detections, in memory that the next replay writes to."""
        load(self.inputs, inputs)
        self.graph.replay()
        return self.found
