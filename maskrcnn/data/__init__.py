"""From a COCO data set on disk to batches of fixed shape."""

import os

# Albumentations looks for a newer version of itself on the network when it is imported, unless told otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# What OpenCV warns of in a broken picture, our own error says with the file's name.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
