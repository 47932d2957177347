"""Pictures as data within a page."""

import base64

import cv2
import numpy as np


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture [h, w, 3] u8 whose longer side has at most `side` pixels."""
    scale = side / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def data_url(picture: np.ndarray) -> str:
    """A picture [h, w, 3] u8 RGB as JPEG, for the `src` of an image."""
    encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
