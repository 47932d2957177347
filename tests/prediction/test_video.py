"""Videos, read and written."""

from pathlib import Path

import numpy as np
import pytest

from maskrcnn.prediction.video import VideoReader, VideoWriter


def write(path: Path, frames: list[np.ndarray]) -> None:
    video = VideoWriter(path, 12.0)
    for frame in frames:
        video.write(frame)
    video.close()


def levels(height: int, width: int) -> list[np.ndarray]:
    """Frames of one colour each: red from 40 to 220, green 100, blue 20."""
    return [np.full((height, width, 3), (red, 100, 20), np.uint8) for red in range(40, 230, 20)]


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_frames_are_read_as_they_were_written_in_order_and_rgb(size: tuple[int, int], tmp_path: Path) -> None:
    frames = levels(*size)
    write(tmp_path / "a.mp4", frames)
    with VideoReader(tmp_path / "a.mp4") as video:
        read = list(video)
        assert (video.rate, video.frames) == (12.0, len(frames))
    assert len(read) == len(frames) and read[0].shape == (48, 64, 3)  # even
    for ours, theirs in zip(frames, read):
        np.testing.assert_allclose(theirs.mean(axis=(0, 1)), ours[0, 0], atol=4)  # of a lossy format


def test_a_colon_in_a_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frames = levels(48, 64)
    write(Path("cam1:30.mp4"), frames)
    with VideoReader(Path("cam1:30.mp4")) as video:
        assert len(list(video)) == len(frames)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"a\.mp4 does not open as a video \(8 bytes\): it is broken, or of a format"):
        VideoReader(tmp_path / "a.mp4")
    with pytest.raises(FileNotFoundError):
        VideoReader(tmp_path / "b.mp4")


def test_a_video_that_ends_too_soon_gives_what_it_has(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 96, 96, 3), dtype=np.uint8)
    write(tmp_path / "a.avi", list(noise))
    whole = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "b.avi").write_bytes(whole[: len(whole) // 2])
    read: list[np.ndarray] = []
    with VideoReader(tmp_path / "b.avi") as video, pytest.raises(ValueError, match="has 20 frames, but only"):
        read.extend(video)
    assert 2 < len(read) < 20


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(ValueError, match=r"a\.mp4 cannot be written as a video of 64 x 48 pixels \(codec mp4v\)"):
        write(tmp_path / "a.mp4", levels(48, 64))
