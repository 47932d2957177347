"""What the panels of a sheet of stages share: the picture, the tensors, and the object that is followed."""

from typing import NamedTuple

import cv2
import numpy as np
from torch import Tensor

from maskrcnn.modeling.stages import Stages
from maskrcnn.ops.paste import Convention
from maskrcnn.visualize.instances import paint_frame, to_rgb
from maskrcnn.visualize.panel import WIDTH
from maskrcnn.visualize.text import Colour
from maskrcnn.visualize.view import View, around, whole

# Okabe and Ito's colours, one meaning each on all panels.
FOLLOWED: Colour = (213, 94, 0)
POSITIVE: Colour = (0, 158, 115)
NEGATIVE: Colour = (150, 150, 150)
LEVELS: tuple[Colour, ...] = ((86, 180, 233), (0, 114, 178), (204, 121, 167), (240, 228, 66), (0, 0, 0))


class Example(NamedTuple):
    """One detection and where it comes from."""

    detection: int  # its slot
    label: int
    score: float
    box: np.ndarray  # [4] of the detection; this and the others in pixels of the canvas
    region: int  # slot of the proposal
    proposal: np.ndarray  # [4] its box
    level: int  # index in the pyramid of the anchor's level
    anchor_box: np.ndarray  # [4]


class Scene(NamedTuple):
    """All that a sheet is drawn from."""

    stages: Stages  # of one picture: B = 1
    picture: np.ndarray  # [h, w, 3] u8, its content as the network gets it
    classes: list[str]
    thresholds: np.ndarray  # [K] the least score of a final detection of each class
    paste: Convention  # how masks are put into the picture
    example: Example | None  # None if nothing was detected
    view: View  # the whole content

    def level_name(self, level: int) -> str:
        """P2 for the level of stride 4, and so on."""
        return f"P{self.stride(level).bit_length() - 1}"

    def stride(self, level: int) -> int:
        """Pixels of the canvas along a side of a cell of the pyramid."""
        # Each is twice the one before; P6 covers more than the canvas where that is no multiple of 64.
        return self.stages.pixels.shape[-1] // self.stages.pyramid[0].shape[-1] * 2**level

    def found(self) -> np.ndarray:
        """Slots of the final detections, best first."""
        detections = self.stages.detections
        enough = array(detections.scores) >= self.thresholds[detections.labels[0].cpu().numpy()]
        return np.flatnonzero(detections.valid[0].cpu().numpy() & enough)

    @property
    def faded(self) -> np.ndarray:
        """The picture paled, for many lines on it: [*view.size, 3] u8."""
        return self.view.fade(self.picture)


def array(tensor: Tensor) -> np.ndarray:
    """The values of the first picture, or region, of a batch."""
    return tensor[0].detach().float().cpu().numpy()


def zoom_size(scene: Scene) -> tuple[int, int]:
    """Height and width of drawings of the followed object alone."""
    return min(max(scene.view.size[0], WIDTH * 3 // 4), WIDTH), WIDTH


def make_scene(stages: Stages, classes: list[str], thresholds: np.ndarray, paste: Convention) -> Scene:
    """Chooses the best detection to follow, whether or not it reaches its threshold."""
    height, width = stages.image_sizes[0].tolist()
    picture = np.ascontiguousarray(to_rgb(stages.images[0, :, :height, :width].permute(1, 2, 0).cpu().numpy()))
    tallest = WIDTH * 5 // 4
    view = whole(height, width, (tallest, WIDTH))
    return Scene(stages, picture, classes, thresholds, paste, _follow(stages), view)


def _follow(stages: Stages) -> Example | None:
    detections, anchors = stages.detections, stages.refined_anchors
    if not bool(detections.valid[0, 0]):
        return None
    region = int(stages.refined_regions.regions[0, stages.detection_slots[0, 0]])
    level, slot = divmod(int(stages.proposal_slots[0, region]), anchors.index.shape[2])
    anchor = int(anchors.index[0, level, slot])
    return Example(
        detection=0,
        label=int(detections.labels[0, 0]),
        score=float(detections.scores[0, 0]),
        box=array(detections.boxes)[0],
        region=region,
        proposal=array(stages.proposals.boxes)[region],
        level=level,
        anchor_box=stages.rpn.anchors[level][anchor].cpu().numpy(),
    )


def zoomed(scene: Scene, example: Example) -> View:
    """The followed object's box and proposal, large."""
    boxes = np.stack((example.box, example.proposal))
    hull = np.concatenate((boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)))
    return around(hull, zoom_size(scene))


def centred(picture: np.ndarray, side: int) -> np.ndarray:
    """`framed` in the middle of a white drawing of a panel's width."""
    drawing = np.full((side, WIDTH, 3), 255, np.uint8)
    left = (WIDTH - side) // 2
    drawing[:, left : left + side] = framed(picture, side)
    return drawing


def framed(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture [n, n, 3] enlarged to a side, cells as squares, in the frame of the followed object."""
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_NEAREST)
    paint_frame(large, FOLLOWED, 3)
    return large
