import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from pycocotools import mask as coco_mask

from maskrcnn.data.convert.annotated import Annotated, Object, Picture
from maskrcnn.data.convert.labelme import read_labelme
from maskrcnn.data.convert.labelme_write import write_labelme

SQUARE = [2, 3, 6, 3, 6, 7, 2, 7]
FAR = [20.5, 3, 34, 3, 24, 7.25]  # over the border


def of_mask(mask: np.ndarray, label: int = 0, crowd: bool = False) -> Object:
    return Object(label, None, coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"], crowd)


def of_polygons(*polygons: list[float], label: int = 0) -> Object:
    counts = coco_mask.merge(coco_mask.frPyObjects([*polygons], 20, 30))["counts"]
    return Object(label, [*polygons], counts, False)


@pytest.fixture
def data(tmp_path: Path, picture: Callable[[Path], Path]) -> Callable[..., Annotated]:
    """A data set of the classes dog and cat and of one picture, photos/day/a.png."""

    def make(*objects: Object) -> Annotated:
        path = picture(tmp_path / "photos" / "day" / "a.png")
        return Annotated(tmp_path / "photos", ("dog", "cat"), [Picture(path, 20, 30, [*objects])], {})

    return make


def test_polygons_stay(data: Callable[..., Annotated], tmp_path: Path) -> None:
    annotated = data(of_polygons(SQUARE, label=1), of_polygons(FAR, SQUARE))
    for pictures in ("copy", "symlink"):
        write_labelme(annotated, tmp_path / pictures, pictures=pictures)
        written = tmp_path / pictures / "day" / "a.json"
        common = {"shape_type": "polygon", "flags": {}}
        square, far = [[2, 3], [6, 3], [6, 7], [2, 7]], [[20.5, 3], [34, 3], [24, 7.25]]
        assert json.loads(written.read_text()) == {
            "version": "5.5.0",
            "flags": {},
            "shapes": [
                {"label": "cat", "points": square, "group_id": None} | common,
                {"label": "dog", "points": far, "group_id": 2} | common,
                {"label": "dog", "points": square, "group_id": 2} | common,
            ],
            "imagePath": "a.png",
            "imageData": None,
            "imageHeight": 20,
            "imageWidth": 30,
        }
        assert written.with_suffix(".png").is_symlink() == (pictures == "symlink")
        again = read_labelme(tmp_path / pictures, classes=["dog", "cat"])
        assert [p.objects for p in again.pictures] == [p.objects for p in annotated.pictures]
        assert again.pictures[0].path.read_bytes() == annotated.pictures[0].path.read_bytes()
    assert annotated.findings == {}


@pytest.mark.parametrize("seed", range(40))
def test_masks_of_any_form_come_back_whole(data: Callable[..., Annotated], tmp_path: Path, seed: int) -> None:
    """Parts, holes, islands in holes, and all of these that touch by corners."""
    rng = default_rng(seed)
    mask = np.kron(rng.random((10, 10)) < rng.uniform(0.2, 0.9), np.ones((2, 3), bool))
    mask[rng.integers(20, size=3), rng.integers(30, size=3)] ^= True
    annotated = data(of_mask(mask))
    write_labelme(annotated, tmp_path / "out", pictures="copy")
    (found,) = read_labelme(tmp_path / "out", classes=["dog", "cat"]).pictures[0].objects
    again = coco_mask.decode({"size": [20, 30], "counts": found.mask}).astype(bool)
    np.testing.assert_array_equal(again, mask)


def test_what_is_lost_is_counted(data: Callable[..., Annotated], tmp_path: Path) -> None:
    ring = np.zeros((20, 30), bool)
    ring[5:15, 5:15] = True
    ring[8:12, 8:12] = False
    annotated = data(of_mask(ring), of_mask(ring, crowd=True))
    write_labelme(annotated, tmp_path / "out", pictures="copy")
    assert annotated.findings == {
        "objects with holes: joined by lines": ["a.png"],
        "crowd regions: left out, LabelMe has none": ["a.png"],
    }
    assert len(read_labelme(tmp_path / "out", classes=None).pictures[0].objects) == 1


def test_pictures_that_would_share_a_file_are_refused(tmp_path: Path, picture: Callable[[Path], Path]) -> None:
    pictures = [Picture(picture(tmp_path / "photos" / name), 20, 30, []) for name in ("a.png", "a.jpg")]
    annotated = Annotated(tmp_path / "photos", ("cat",), pictures, {})
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.png would share the label file a\.json: rename one"):
        write_labelme(annotated, tmp_path / "out", pictures="copy")
    assert sorted(os.listdir(tmp_path)) == ["photos"]  # nothing half written
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"out=.*out is already there: delete it, or give another name"):
        write_labelme(annotated, tmp_path / "out", pictures="copy")
