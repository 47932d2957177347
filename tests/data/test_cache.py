"""Where things are kept, by user and environment."""

import os
from pathlib import Path

import pytest

from maskrcnn.data.cache import cache_folder


def test_below_the_folder_that_is_given_or_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "given"))
    assert cache_folder("annotations") == tmp_path / "given" / "maskrcnn" / "annotations"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("headers") == tmp_path / "home" / ".cache" / "maskrcnn" / "headers"


def test_a_user_without_a_home_keeps_things_with_the_temporary_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    expected = tmp_path / f"maskrcnn-{os.getuid()}" / "headers"
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert cache_folder("headers") == expected
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("os.access", lambda path, mode: False)  # of another user; a test may be of root
    assert cache_folder("headers") == expected

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", unknown)
    assert cache_folder("headers") == expected
