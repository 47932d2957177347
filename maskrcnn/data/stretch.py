"""Contrast of each picture by itself: what instruments leave dark becomes visible."""

import numpy as np


class Stretch:
    """Maps each channel of a picture so that two of its percentiles become black and white.

    For pictures whose brightness says nothing, such as those of microscopes at many exposures. StarDist (arXiv
    1806.03535) and Cellpose (Stringer et al. 2021) normalise so before the network.

    Args:
        percentiles: of the pixels of a channel, such as [1, 99.8]: the first becomes 0, the second 255, what is beyond
            is clipped.
        gamma: the exponent of the map between them; 1 is a straight line, and 0.5, a square root, brightens dim objects
            beside bright ones and evens out shot noise.
    """

    def __init__(self, *, percentiles: tuple[float, float], gamma: float) -> None:
        low, high = percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"data.stretch.percentiles is {list(percentiles)}; give two ascending ones from 0 to 100")
        if gamma <= 0:
            raise ValueError(f"data.stretch.gamma is {gamma}; give a number above 0, such as 1 or 0.5")
        self.low, self.high, self.gamma = low, high, gamma

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """A picture [h, w, C] u8 or u16 as u8."""
        return np.stack([self._table(channel)[channel] for channel in np.moveaxis(pixels, 2, 0)], axis=2)

    def _table(self, channel: np.ndarray) -> np.ndarray:
        """What each value of a channel becomes, [256] or [65536] u8."""
        values = np.iinfo(channel.dtype).max + 1
        passed = np.cumsum(np.bincount(channel.ravel(), minlength=values)) / channel.size * 100
        black, white = np.searchsorted(passed, [self.low, self.high])  # the first values that reach these shares
        position = (np.arange(values) - black) / max(white - black, 1)
        return np.rint(position.clip(0, 1) ** self.gamma * 255).astype(np.uint8)
