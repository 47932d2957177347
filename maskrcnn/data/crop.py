"""Random crops: training sees parts of pictures of one size, validation the whole."""

import numpy as np

from maskrcnn.data.jitter import check_scales, cut_view
from maskrcnn.data.resize import Resize, View


class RandomCrop:
    """Cuts a random part of a fixed size out of a picture that is resized as for validation, or a little differently.

    For pictures with many small objects: all crops have one shape, so that nothing is spent on padding, and a batch
    holds parts of many pictures. The window is cut in pixels of the picture, before the resize, so masks stay as they
    were annotated. A picture smaller than the crop is padded, as any in a batch.

    Args:
        shortest, longest: of the whole picture, as `Resize` takes them; one `shortest` only.
        crop: height and width of the part, in pixels after the resize.
        scales: smallest and largest factor on the size of the whole picture in training, drawn evenly on a logarithmic
            axis; [1, 1] keeps validation's.
    """

    def __init__(
        self, *, shortest: list[int], longest: int, crop: tuple[int, int], scales: tuple[float, float]
    ) -> None:
        if len(shortest) != 1:
            raise ValueError(
                f"data.resize.shortest is {shortest}, but a crop's scale is drawn from data.resize.scales: give one"
            )
        check_scales(scales)
        if min(crop) < 1:
            raise ValueError(f"data.resize.crop is {list(crop)}; give a height and a width, such as [256, 256]")
        self.fit = Resize(shortest=shortest, longest=longest)
        self.crop, self.scales = crop, scales

    def view(self, height: int, width: int, rng: np.random.Generator | None) -> View:
        """A random scale and window; without `rng`, the whole picture."""
        if rng is None:
            return self.fit.view(height, width, None)
        scale = self.fit.scale(height, width, self.fit.shortest[0]) * np.exp(rng.uniform(*np.log(self.scales)))
        return cut_view(height, width, self.largest(height, width), scale, rng)

    def largest(self, height: int, width: int) -> tuple[int, int]:
        """The crop."""
        return self.crop[0], self.crop[1]
