"""Videos, read and written by OpenCV."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}
CODEC = "mp4v"  # MPEG-4 Part 2 in .mp4: the wheels of OpenCV have no encoder for H.264
RATE = 25.0  # frames a second, where a file does not say


def _quieten() -> None:
    # FFmpeg and OpenCV write lines of their own for a file that does not open; we raise an error.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class VideoReader:
    """The frames of a video, [h, w, 3] uint8 RGB, turned as the file says: `with VideoReader(path) as video: ...`.

    Args:
        path: of the file.

    Attributes:
        rate: frames a second; frames: their number as the file says, 0 if it does not.

    Raises:
        ValueError: it does not open, or ends before the number of frames that it says it has.
    """

    def __init__(self, path: Path) -> None:
        _quieten()
        self.path = path
        size = path.stat().st_size  # an OSError for a file that is not there
        self.capture = cv2.VideoCapture(os.path.abspath(path))  # FFmpeg takes cam1:30.mp4 for a protocol
        if not self.capture.isOpened():
            raise ValueError(
                f"{path} does not open as a video ({size} bytes): it is broken, or of a format unknown to OpenCV; "
                "convert it, such as by `ffmpeg -i in -c:v libx264 out.mp4`"
            )
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else RATE
        self.frames = max(int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.capture.release()

    def __iter__(self) -> Iterator[np.ndarray]:
        number = 0
        while True:
            there, frame = self.capture.read()
            if not there:
                break
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            number += 1
        if number < self.frames:
            raise ValueError(f"{self.path} has {self.frames} frames, but only {number} of them can be read")


class VideoWriter:
    """Writes a video.

    Args:
        path: of the file, which ends in .mp4.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.rate = path, rate
        self.writer: cv2.VideoWriter | None = None

    def write(self, picture: np.ndarray) -> None:
        """Adds a frame [H, W, 3] uint8 RGB, of the first one's size.

        Raises:
            ValueError: the file cannot be written.
        """
        # Colours are kept for squares of four pixels; of an odd side the last row or column is repeated.
        height, width = picture.shape[:2]
        even = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if self.writer is None:
            _quieten()
            size = (even.shape[1], even.shape[0])
            self.writer = cv2.VideoWriter(os.path.abspath(self.path), cv2.VideoWriter.fourcc(*CODEC), self.rate, size)
            if not self.writer.isOpened():
                raise ValueError(
                    f"{self.path} cannot be written as a video of {size[0]} x {size[1]} pixels (codec {CODEC}); check "
                    "the folder and the room on its disk"
                )
        self.writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Ends the file; without this it does not open."""
        if self.writer is not None:
            self.writer.release()
