"""What a viewer does with the pixels of a file, for each value of the orientation in EXIF and TIFF."""

import numpy as np

# In the words of TIFF 6.0 (page 36): where the stored first row and first column are seen.
SEEN = {
    1: lambda a: a,  # top, left
    2: lambda a: np.flip(a, 1),  # top, right
    3: lambda a: np.flip(a, (0, 1)),  # bottom, right
    4: lambda a: np.flip(a, 0),  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: np.flip(a.swapaxes(0, 1), 1),  # right, top
    7: lambda a: np.flip(a.swapaxes(0, 1), (0, 1)),  # right, bottom
    8: lambda a: np.flip(a.swapaxes(0, 1), 0),  # left, bottom
}
