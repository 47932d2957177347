import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng
from pycocotools import mask as coco_mask

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.convert.annotated import Annotated, Object, Picture
from maskrcnn.data.convert.coco import read_coco, write_coco
from maskrcnn.data.convert.outlines import join, outline
from maskrcnn.data.convert.output import appearing
from maskrcnn.data.convert.yolo import read_yolo
from maskrcnn.data.convert.yolo_write import write_yolo
from maskrcnn.data.source import Split

SQUARE = [2, 3, 6, 3, 6, 7, 2, 7]
FAR = [20, 3, 24, 3, 24, 7, 20, 7]


def discs(seed: int) -> np.ndarray:
    """A mask [20, 30] bool of discs that overlap, touch, lie apart or reach over the border."""
    rng = default_rng(seed)
    rows, columns = np.mgrid[:20, :30]
    mask = np.zeros((20, 30), bool)
    for _ in range(4):
        y, x, radius = rng.uniform(0, 20), rng.uniform(0, 30), rng.uniform(1, 5)
        mask |= (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    return mask


def runs(mask: np.ndarray) -> dict[str, Any]:
    counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return {"size": list(mask.shape), "counts": counts.decode()}


@pytest.fixture
def write(tmp_path: Path, picture: Callable[[Path], Path]) -> Callable[..., Path]:
    """Writes an annotation file for the black picture photos/a.png, and returns it."""

    def write_file(*segmentations: Any, iscrowd: int = 0) -> Path:
        picture(tmp_path / "photos" / "a.png")
        annotations = [
            {
                "id": i,
                "image_id": 4,
                "category_id": 30 - 10 * (i % 2),
                "segmentation": s,
                "iscrowd": iscrowd,
                "bbox": [1, 1, 9, 9],
            }
            for i, s in enumerate(segmentations)
        ]
        dataset = {
            "images": [{"id": 4, "file_name": "a.png", "height": 20, "width": 30}],
            "categories": [{"id": 30, "name": "dog"}, {"id": 20, "name": "cat"}],
            "annotations": annotations,
        }
        (tmp_path / "in.json").write_text(json.dumps(dataset))
        return tmp_path / "in.json"

    return write_file


def to_yolo(file: Path, out: Path) -> tuple[Annotated, list[str]]:
    annotated = read_coco(file, images=str(file.parent / "photos"))
    write_yolo(annotated, out, split="train", pictures="copy")
    return annotated, (out / "labels" / "a.txt").read_text().splitlines()


def test_a_file_of_pictures_alone_has_no_objects(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write()
    dataset = json.loads(file.read_text())
    del dataset["annotations"]
    file.write_text(json.dumps(dataset))
    annotated = read_coco(file, images=str(tmp_path / "photos"))
    assert [len(picture.objects) for picture in annotated.pictures] == [0]


def test_polygons_stay_and_classes_are_contiguous(write: Callable[..., Path], tmp_path: Path) -> None:
    annotated, lines = to_yolo(write([SQUARE], [FAR]), tmp_path / "out")
    assert annotated.classes == ("cat", "dog") and annotated.findings == {}
    assert lines[0].split()[0] == "1" and lines[1].split()[0] == "0"  # ids 30 and 20
    numbers = [float(word) for word in lines[0].split()[1:]]
    assert numbers == pytest.approx([v / s for v, s in zip(SQUARE, [30, 20] * 4)], abs=1e-10)


@pytest.mark.parametrize("seed", range(40))
def test_masks_of_several_parts_come_back_whole(write: Callable[..., Path], tmp_path: Path, seed: int) -> None:
    mask = discs(seed) ^ (discs(seed + 100) & discs(seed + 200))  # with holes
    _, lines = to_yolo(write(runs(mask)), tmp_path / "out")
    assert len(lines) == 1
    (found,) = read_yolo(tmp_path / "out", split="train").pictures[0].objects
    again = coco_mask.decode({"size": [20, 30], "counts": found.mask}).astype(bool)
    np.testing.assert_array_equal(again, mask)


def test_what_is_lost_is_counted(write: Callable[..., Path], tmp_path: Path) -> None:
    ring = np.zeros((20, 30), bool)
    ring[5:15, 5:15] = True
    ring[8:12, 8:12] = False
    over = [25, 3, 35, 3, 35, 7, 25, 7]
    annotated, lines = to_yolo(write(runs(ring), [SQUARE, FAR], [over], [[1, 1, 2, 2]]), tmp_path / "out")
    assert len(lines) == 3
    assert annotated.findings == {
        "objects with no polygon of three or more points, x1, y1, x2, y2, ... in one list: left out": ["annotation 3"],
        "objects of several parts, or with holes: joined by lines": ["a.png", "a.png"],
        "objects that reach over the border: moved onto it": ["a.png"],
    }
    areas = [coco_mask.area({"size": [20, 30], "counts": o.mask})
             for o in read_yolo(tmp_path / "out", split="train").pictures[0].objects]  # fmt: skip
    assert areas == [84, 32, 20]
    annotated, lines = to_yolo(write([SQUARE], runs(ring), iscrowd=1), tmp_path / "crowds")
    assert lines == [] and annotated.findings == {"crowd regions: left out, YOLO has none": ["a.png", "a.png"]}


def test_outlines_hold_islands_in_holes_and_run_the_other_way_round_them() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:15], mask[7:13, 7:13], mask[9:11, 9:11] = True, False, True
    counts = runs(mask)["counts"].encode()
    around, inner = outline(Object(0, None, counts, False), 20)
    outlines = [*around, *inner]
    assert (len(around), len(inner)) == (2, 1)
    x, y = np.stack([np.concatenate([o, o[:1]]) for o in outlines]).transpose(2, 0, 1)
    areas = ((x[:, :-1] * y[:, 1:] - x[:, 1:] * y[:, :-1]) / 2).sum(axis=1)  # signed by the way round
    assert (areas * np.sign(areas[0])).tolist() == [100, -36, 4]


def test_parts_are_joined_between_their_nearest_corners() -> None:
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], np.float64)
    joined = join([square, square + [10, 2]])
    bridge = [[2, 2], [10, 2], [12, 2], [12, 4], [10, 4], [10, 2], [2, 2]]
    assert joined.tolist() == [[0, 0], [2, 0], *bridge, [0, 2]]


def test_a_polygon_that_is_not_in_a_list_is_kept(write: Callable[..., Path], tmp_path: Path) -> None:
    (picture,) = read_coco(write(SQUARE), images=str(tmp_path / "photos")).pictures
    assert [found.polygons for found in picture.objects] == [[SQUARE]]


def test_coco_to_coco_keeps_polygons_and_masks(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write([SQUARE, FAR], runs(discs(3)), [SQUARE, [1, 1, 2, 2]])
    annotated = read_coco(file, images=str(tmp_path / "photos"))
    write_coco(annotated, tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert [a["segmentation"] for a in written["annotations"]][:2] == [[SQUARE, FAR], runs(discs(3))]
    assert written["annotations"][0]["bbox"] == [2, 3, 22, 4] and written["annotations"][0]["area"] == 32
    with (
        pytest.warns(UserWarning, match="some polygons of fewer than three points"),
        pytest.warns(UserWarning, match=r"1 annotation with an id that is zero, absent or no number.*\(ids 0\)"),
    ):
        expected = read_annotations(Split(tmp_path / "photos", file))
    again = read_annotations(Split(tmp_path / "photos", tmp_path / "out.json"))
    assert again.records[0].objects.masks == expected.records[0].objects.masks
    assert annotated.findings == {"polygons of fewer than three points: left out of their object": ["annotation 2"]}


def test_pictures_that_would_share_a_label_file_are_refused(tmp_path: Path, picture: Callable[[Path], Path]) -> None:
    pictures = [Picture(picture(tmp_path / "photos" / name), 20, 30, []) for name in ("a.png", "a.jpg")]
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.png would share the label file a\.txt: rename one"):
        write_yolo(Annotated(tmp_path / "photos", ("cat",), pictures, {}), tmp_path / "o", split="val", pictures="copy")
    assert sorted(os.listdir(tmp_path)) == ["photos"]  # nothing half written


def test_nothing_is_overwritten_nor_left_half_written(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.json"
    with pytest.raises(UnicodeEncodeError), appearing(out) as partial:
        partial.write_text("half \ud800")
    assert os.listdir(out.parent) == []
    with appearing(out) as partial:
        partial.write_text("whole")
        assert not out.exists()
    assert out.read_text() == "whole" and os.listdir(out.parent) == ["out.json"]
    out.unlink()
    with pytest.raises(ValueError, match=r"out\.json is already there"), appearing(out) as partial:
        out.write_text(partial.name)  # another process is faster
    assert os.listdir(out.parent) == ["out.json"]
    out.write_text("whole")
    empty = Annotated(tmp_path, ("cat",), [], {})
    message = r"out=.*out\.json is already there: delete it, or give another name"
    with pytest.raises(ValueError, match=message):
        write_coco(empty, out)
    with pytest.raises(ValueError, match=message):
        write_yolo(empty, out, split="train", pictures="copy")
    assert out.read_text() == "whole"


def test_paths_that_lead_nowhere_are_named(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write([SQUARE])
    with pytest.raises(FileNotFoundError, match=r"read\.images=nowhere: no such folder"):
        read_coco(file, images="nowhere")
    with pytest.raises(FileNotFoundError, match=r"source=.*photos: no such file; from=coco takes an annotation file"):
        read_coco(tmp_path / "photos", images="nowhere")
    with pytest.raises(ValueError, match=r"to=coco writes one file, so give it a name that ends in \.json"):
        write_coco(Annotated(tmp_path, ("cat",), [], {}), tmp_path / "out")
