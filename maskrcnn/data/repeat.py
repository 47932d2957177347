"""How often pictures with rare classes come."""

import numpy as np

from maskrcnn.data.census import Census


def repeat_factors(census: Census, threshold: float) -> np.ndarray:
    """Repeat factors of pictures, as in LVIS (Gupta et al. 2019, arXiv 1908.03195, appendix B.2).

    A class that a share f of the pictures hold has the factor max(1, sqrt(threshold / f)); a picture has the largest
    of its classes. Crowd regions do not count.

    Args:
        census: of the training pictures; threshold: share of the pictures below which a class is rare; 0 for none.

    Returns:
        [n] float64, 1 or more.
    """
    size = len(census.counts)
    classes = int(census.labels.max(initial=0)) + 1
    pictures, labels = np.divmod(np.unique(census.pictures() * classes + census.labels), classes)
    held = np.bincount(labels, minlength=classes)
    by_class = np.sqrt(threshold * size / np.maximum(held, 1))
    factors = np.ones(size)
    np.maximum.at(factors, pictures, by_class[labels])
    return factors
