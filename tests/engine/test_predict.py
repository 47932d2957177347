"""Which pictures are read, and where the annotated ones go."""

from pathlib import Path

import pytest

from maskrcnn.engine.predict import predict
from maskrcnn.prediction.sources import find_files, name_outputs
from maskrcnn.prediction.tiles import Tiling


def outputs(*pictures: str) -> list[str]:
    return [path.as_posix() for path in name_outputs([Path(picture) for picture in pictures]).values()]


def test_outputs_keep_names_and_sub_folders() -> None:
    assert outputs("in/a.jpg") == ["a"]
    assert outputs("in/a.png", "in/b.tif") == ["a", "b"]
    assert outputs("in/x/a.jpg", "in/y/a.jpg", "in/y/z/a.png") == ["x/a", "y/a", "y/z/a"]
    assert outputs("a.jpg", "sub/a.jpg") == ["a", "sub/a"]


def test_no_output_overwrites_another() -> None:
    assert outputs("in/a.jpg", "in/a.png", "in/b.png") == ["a.jpg", "a.png", "b"]
    assert outputs("in/A.jpg", "in/a.png") == ["A.jpg", "a.png"]  # one file where case does not count
    # a.png.tif alone would become a.png, which one of the others may need
    assert outputs("in/a.jpg", "in/a.png", "in/a.png.tif") == ["a.jpg", "a.png", "a.png.tif"]


def test_a_folder_a_file_and_a_glob_name_pictures(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.PNG", "a.jpg", "notes.txt", "sub/c.png"):
        (tmp_path / name).touch()
    assert find_files(str(tmp_path)) == [tmp_path / "a.jpg", tmp_path / "b.PNG"]
    assert find_files(str(tmp_path / "a.jpg")) == [tmp_path / "a.jpg"]
    assert find_files(f"{tmp_path}/**") == [tmp_path / "a.jpg", tmp_path / "b.PNG", tmp_path / "sub" / "c.png"]
    (tmp_path / "sub" / "c.png").rename(tmp_path / "sub" / "c.txt")
    with pytest.raises(ValueError, match=r"no picture in this folder \(for those of its sub-folders, give 'source="):
        find_files(str(tmp_path / "sub"))


@pytest.mark.parametrize("source", ["", "/**"])
def test_annotated_pictures_never_go_where_the_pictures_lie(source: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"holds pictures of source=.*; give another folder, so that none is lost"):
        predict(checkpoint="none", source=f"{tmp_path}{source}", output=str(tmp_path), outputs=["pictures"],
                score_threshold=0.5, tile=Tiling(size=None, overlap=0), batch_size=1, override=[], device="cpu",
                plugins=[])  # fmt: skip
    assert (tmp_path / "a.png").read_bytes() == b"mine"
