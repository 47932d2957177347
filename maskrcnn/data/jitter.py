"""Large-scale jitter: pictures at a tenth to twice their size on a canvas that stays."""

import numpy as np

from maskrcnn.data.resize import Resize, View


class LargeScaleJitter:
    """Resizes a picture by a random factor and cuts out a random part where it is then larger than the canvas.

    Ghiasi et al. 2021, arXiv 2012.07177, section 3; Detectron2's `ResizeScale` and `FixedSizeCrop`. The window is cut
    in pixels of the picture, before the resize, so masks stay as they were annotated. A picture smaller than the canvas
    lies in its top left corner; the rest is padding, as below and beside any picture of a batch.

    Args:
        shortest, longest: sides of the canvas in pixels, which lies as the picture does: upright where that is higher
            than wide. One `shortest` only. [1024] and 1024 are the paper's square. At validation, pictures just fit in.
        scales: smallest and largest factor; 1 makes a picture just fit in. Drawn evenly.
    """

    def __init__(self, *, shortest: list[int], longest: int, scales: tuple[float, float]) -> None:
        if len(shortest) != 1:
            raise ValueError(
                f"data.resize.shortest is {shortest}, but large-scale jitter draws the scale itself: give one length, "
                f"data.resize.shortest=[{max(shortest, default=800)}]"
            )
        check_scales(scales)
        self.fit = Resize(shortest=shortest, longest=longest)
        self.scales = scales

    def view(self, height: int, width: int, rng: np.random.Generator | None) -> View:
        """A random scale and window; without `rng`, the whole picture fitted into the canvas."""
        if rng is None:
            return self.fit.view(height, width, None)
        scale = self.fit.scale(height, width, self.fit.shortest[0]) * rng.uniform(*self.scales)
        return cut_view(height, width, self.largest(height, width), scale, rng)

    def largest(self, height: int, width: int) -> tuple[int, int]:
        """The canvas."""
        shortest, longest = self.fit.shortest[0], self.fit.longest
        return (longest, shortest) if height > width else (shortest, longest)


def cut_view(height: int, width: int, canvas: tuple[int, int], scale: float, rng: np.random.Generator) -> View:
    """A random part of a picture of a height and width that fills at most a canvas once it is scaled."""
    y1, y2, rows = _cut(height, canvas[0], scale, rng)
    x1, x2, columns = _cut(width, canvas[1], scale, rng)
    return View((x1, y1, x2, y2), (rows, columns), canvas)


def check_scales(scales: tuple[float, float]) -> None:
    """Makes sure that factors can be drawn from between two.

    Raises:
        ValueError: one is not positive, or the first is the larger.
    """
    if not 0 < scales[0] <= scales[1]:
        raise ValueError(f"data.resize.scales is {list(scales)}; give the smallest factor, over 0, and the largest")


def _cut(length: int, limit: int, scale: float, rng: np.random.Generator) -> tuple[int, int, int]:
    """Start and end of a random stretch of a side that becomes at most `limit` pixels, and what it becomes."""
    extent = min(length, max(round(limit / scale), 1))
    start = int(rng.integers(length - extent + 1))
    return start, start + extent, min(max(round(extent * scale), 1), limit)
