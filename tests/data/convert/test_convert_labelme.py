import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.convert.annotated import Annotated
from maskrcnn.data.convert.labelme import read_labelme

Write = Callable[..., Path]
SQUARE = [[2, 3], [6, 3], [6, 7], [2, 7]]


def shape(
    label: str, points: list[Any], kind: str = "polygon", group: int | None = None, **more: Any
) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {}, **more}


def mask_shape(label: str, left: int, top: int, mask: list[list[int]], group: int | None = None) -> dict[str, Any]:
    """As LabelMe 5 has it: the corners are the first and the last pixel."""
    values = np.array(mask, np.uint8)
    png = base64.b64encode(cv2.imencode(".png", values)[1].tobytes()).decode()
    corner = [left + values.shape[1] - 1, top + values.shape[0] - 1]
    return shape(label, [[left, top], corner], "mask", group, mask=png)


@pytest.fixture
def write(tmp_path: Path, picture: Callable[[Path], Path]) -> Write:
    """Writes a picture and its JSON file into a folder, and returns the folder."""

    def write_pair(shapes: list[Any], name: str = "a", **changes: Any) -> Path:
        folder = tmp_path / "labelme"
        picture(folder / f"{name}.png")
        entry = {"version": "5.5.0", "shapes": shapes, "imagePath": f"{name}.png", "imageData": None,
                 "imageHeight": 20, "imageWidth": 30, **changes}  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(entry))
        return folder

    return write_pair


def bitmap(annotations: CocoAnnotations, index: int) -> np.ndarray:
    return coco_mask.decode({"size": [20, 30], "counts": annotations.records[0].objects.masks[index]}).astype(bool)


def test_polygons_and_rectangles(write: Write, through_coco: Callable[[Annotated], CocoAnnotations]) -> None:
    folder = write([shape("dog", SQUARE), shape("cat", [[10, 8], [7, 4]], "rectangle")])  # from the lower right corner
    write([], "b")
    annotations = through_coco(read_labelme(folder, classes=None))
    assert annotations.classes == ("cat", "dog")
    first, second = annotations.records
    assert (first.path.name, first.height, first.width) == ("a.png", 20, 30)
    assert first.objects.labels.tolist() == [1, 0]
    assert first.objects.boxes.tolist() == [[2, 3, 4, 4], [7, 4, 3, 4]]
    assert first.objects.areas.tolist() == [16, 12]
    assert second.objects.masks == []


def test_a_circle_is_given_by_its_centre_and_a_point_of_its_rim(
    write: Write, through_coco: Callable[[Annotated], CocoAnnotations]
) -> None:
    annotations = through_coco(read_labelme(write([shape("ball", [[15, 10], [18, 14]], "circle")]), classes=None))
    rows, columns = np.mgrid[:20, :30] + 0.5
    distance = np.hypot(columns - 15, rows - 10)
    inside = bitmap(annotations, 0)
    assert inside[distance < 4.5].all() and not inside[distance > 5.5].any()  # radius 5
    assert inside.sum() == pytest.approx(25 * math.pi, abs=4)
    assert annotations.records[0].objects.boxes.tolist() == [[10, 5, 10, 10]]


def test_a_mask_lies_at_its_first_point(write: Write, through_coco: Callable[[Annotated], CocoAnnotations]) -> None:
    annotations = through_coco(read_labelme(write([mask_shape("cat", 27, 18, [[1, 0, 1], [0, 1, 1]])]), classes=None))
    assert np.argwhere(bitmap(annotations, 0)).tolist() == [[18, 27], [18, 29], [19, 28], [19, 29]]


def test_a_group_is_one_object_of_each_label(
    write: Write, through_coco: Callable[[Annotated], CocoAnnotations]
) -> None:
    shapes = [
        shape("cat", [[20, 3], [24, 7]], "rectangle", group=1),
        shape("cat", SQUARE, group=1),
        shape("dog", SQUARE, group=1),
        shape("cat", SQUARE, group=2),
        shape("cat", SQUARE),
        shape("cat", SQUARE),
        mask_shape("dog", 5, 6, [[1, 1], [1, 1]], group=3),
        shape("dog", SQUARE, group=3),  # shares one pixel with the mask
    ]
    annotated = read_labelme(write(shapes), classes=["cat", "dog"])
    objects = through_coco(annotated).records[0].objects
    assert objects.labels.tolist() == [0, 1, 0, 0, 0, 1]
    assert objects.areas.tolist() == [32, 16, 16, 16, 16, 19]
    assert annotated.pictures[0].objects[0].polygons == [[20, 3, 24, 3, 24, 7, 20, 7], [2, 3, 6, 3, 6, 7, 2, 7]]


def test_what_has_no_area_or_no_class_is_left_out_and_named(write: Write, picture: Callable[[Path], Path]) -> None:
    shapes = [shape("cat", [[1, 1]], "point"), shape("cat", SQUARE[:3], "linestrip"), shape("cat", SQUARE[:2])]
    shapes += [shape("dog", SQUARE), shape("cat", [[40, 3], [44, 7]], "rectangle"), shape("cat", SQUARE)]
    folder = write(shapes)
    picture(folder / "new.png")
    annotated = read_labelme(folder, classes=["cat"])
    assert [found.label for found in annotated.pictures[0].objects] == [0]
    assert annotated.findings == {
        "shapes of type point: left out": ["a.json"],
        "shapes of type linestrip: left out": ["a.json"],
        "shapes with the label 'dog', which is not in classes: left out": ["a.json"],
        "objects with no polygon of three or more points, x1, y1, x2, y2, ... in one list: left out": ["a.json"],
        "objects with a mask without a pixel inside the picture: left out": ["a.json"],
        "pictures without a JSON file: left out": ["new.png"],
    }


def test_the_picture_is_found_by_a_path_of_another_system_and_sizes_may_lack(
    write: Write, through_coco: Callable[[Annotated], CocoAnnotations]
) -> None:
    folder = write([shape("cat", SQUARE)], imagePath="..\\photos\\a.png", imageHeight=None, imageWidth=None)
    record = through_coco(read_labelme(folder, classes=None)).records[0]
    assert (record.path.name, record.height, record.width) == ("a.png", 20, 30)
    (folder.parent / "photos").mkdir()
    (folder / "a.png").rename(folder.parent / "photos" / "a.png")
    annotated = read_labelme(folder, classes=None)
    assert annotated.pictures[0].path.resolve() == folder.parent.resolve() / "photos" / "a.png"


def test_the_picture_of_the_same_name_is_taken_where_image_path_is_wrong(write: Write) -> None:
    for wrong in ("b.png", "a.json"):  # renamed together; an old file that names itself
        annotated = read_labelme(write([shape("cat", SQUARE)], imagePath=wrong), classes=None)
        assert annotated.pictures[0].path.name == "a.png"


def test_missing_pictures_are_named(write: Write, tmp_path: Path) -> None:
    (write([], imagePath="b.png", imageData="aGk=") / "a.png").unlink()
    with pytest.raises(
        ValueError, match=r"b\.png beside it \(it holds .* labelme_export_json .*; put it there, or corr"
    ):
        read_labelme(tmp_path / "labelme", classes=["cat"])


def test_rectangles_may_have_four_corners(write: Write) -> None:
    corners = [[10, 4], [15, 6], [13, 11], [8, 9]]
    shapes = [shape("ship", corners, kind) for kind in ("rectangle", "rotation", "quadrilateral", "oriented_rectangle")]
    objects = read_labelme(write(shapes), classes=None).pictures[0].objects
    assert [found.polygons for found in objects] == [[[10, 4, 15, 6, 13, 11, 8, 9]]] * 4


def test_masks_may_reach_over_the_border(write: Write, through_coco: Callable[[Annotated], CocoAnnotations]) -> None:
    shapes = [mask_shape("cat", -1, -1, [[1, 1, 1], [1, 1, 0]]), mask_shape("cat", 28, 19, [[0, 1, 1], [1, 1, 1]])]
    shapes += [mask_shape("cat", 30, 25, [[1]]), mask_shape("cat", -5, -5, [[1]])]
    annotated = read_labelme(write(shapes), classes=None)
    assert annotated.findings == {"objects with a mask without a pixel inside the picture: left out": ["a.json"] * 2}
    annotations = through_coco(annotated)
    assert np.argwhere(bitmap(annotations, 0)).tolist() == [[0, 0]]
    assert np.argwhere(bitmap(annotations, 1)).tolist() == [[19, 29]]


def test_what_labelme_takes_for_no_object_is_no_class(write: Write) -> None:
    annotated = read_labelme(write([shape("cat", SQUARE), shape("__ignore__", SQUARE)]), classes=None)
    assert annotated.classes == ("cat",) and len(annotated.pictures[0].objects) == 1
    assert annotated.findings == {"shapes with the label '__ignore__', which is not in classes: left out": ["a.json"]}
    assert read_labelme(write([shape("__ignore__", SQUARE)]), classes=["__ignore__"]).findings == {}


def test_numbered_labels_are_objects_of_the_class_without_the_number(write: Write) -> None:
    far = [[20, 3], [24, 3], [24, 7], [20, 7]]
    folder = write([shape("cat-1", SQUARE), shape("cat-2", far), shape("cat-1", far), shape("t-1", SQUARE)])
    found = read_labelme(folder, classes=["cat", "t-1"])
    assert [(each.label, len(each.polygons or [])) for each in found.pictures[0].objects] == [(0, 2), (0, 1), (1, 1)]
    ((finding, names),) = read_labelme(folder, classes=None).findings.items()
    assert "give read.classes without" in finding and names == ["cat-1", "cat-2", "t-1"]


def test_folders_in_the_folder_are_read_too(
    write: Write, picture: Callable[[Path], Path], through_coco: Callable[[Annotated], CocoAnnotations]
) -> None:
    folder = write([shape("cat", SQUARE)])
    for place in ("day/two", ".ipynb_checkpoints"):  # the second is skipped: its copy would be refused
        (folder / place).mkdir(parents=True)
        (folder / place / "a.json").write_bytes((folder / "a.json").read_bytes())
    for name in ("a.png", "new.png"):
        picture(folder / "day" / "two" / name)
    entry = {"shapes": [shape("dog", SQUARE), shape("cow", [[1, 1]], "point")], "imagePath": "a.png"}
    (folder / "day" / "two" / "a.json").write_text(json.dumps(entry))
    annotated = read_labelme(folder, classes=None)
    assert annotated.findings == {
        "shapes of type point: left out": ["day/two/a.json"],
        "pictures without a JSON file: left out": ["day/two/new.png"],
    }
    records = through_coco(annotated).records
    assert [record.path.relative_to(folder).as_posix() for record in records] == ["a.png", "day/two/a.png"]
    assert [record.objects.labels.tolist() for record in records] == [[0], [1]]  # cat, dog


def test_two_files_for_one_picture_are_refused(write: Write) -> None:
    write([shape("cat", SQUARE)])
    folder = write([shape("cat", SQUARE)], "b", imagePath="a.png")
    with pytest.raises(ValueError, match=r"a\.json and .*b\.json are both for .*a\.png: keep one, or merge"):
        read_labelme(folder, classes=None)


@pytest.mark.parametrize(
    ("shapes", "changes", "message"),
    [
        ([], {"imageHeight": 21}, r"a\.json is for a picture 21 pixels high and 30 wide, but .*a\.png is 20 x 30: put"),
        ([], {"imagePath": None}, r"a\.json has no 'shapes' and 'imagePath', so it is not of LabelMe: move it"),
        ([{"label": "cat"}], {}, r"a\.json, shape 0: it needs a 'label' and 'points' of two finite numbers each; mend"),
        ([shape("cat", [[1, float("nan")]])], {}, r"a\.json, shape 0: it needs a 'label'"),
        ([shape("cat", [[1, 10**400]])], {}, r"a\.json, shape 0: it needs a 'label'"),
        ([{**shape("cat", SQUARE), "group_id": [1]}], {}, r"shape 0: its 'group_id' is \[1\]; mend it in LabelMe"),
        ([{**shape("cat", SQUARE), "shape_type": []}], {}, r"shape 0: its 'shape_type' is \[\]; mend it in LabelMe"),
        ([{**shape("cat", SQUARE, "mask"), "mask": 7}], {}, r"shape 0: its 'mask' is 7; mend it in LabelMe"),
        ([shape("cat", [[1, 1]], "circle")], {}, r"shape 0: a circle cannot have 1 points; draw it again"),
        ([shape("cat", [[1, 1], [2, 2]], "mask")], {}, r"shape 0: its mask is not a PNG in base64; draw it again"),
        ([{**mask_shape("cat", 5, 5, [[1, 1]]), "points": [[5, 5], [7, 5]]}], {}, r"its mask of 1 x 2 pixels does not"),
        ([shape("cat", SQUARE[:2], "rotation")], {}, r"shape 0: a rotation cannot have 2 points; draw it again"),
    ],
)
def test_broken_files_are_named(write: Write, shapes: list[Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labelme(write(shapes, **changes), classes=["cat"])


def test_folders_without_labels_and_broken_json_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no class; name one class or more"):
        read_labelme(write([]), classes=None)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ValueError, match="no JSON file in this folder"):
        read_labelme(other, classes=None)
    (other / "pipe.json").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="no JSON file in this folder"):
        read_labelme(other, classes=None)
    for content in (b'{"shapes": [', b"[" * 100_000):
        (other / "a.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.json is not JSON, or broken"):
            read_labelme(other, classes=None)


def test_a_mask_of_another_size_is_not_decoded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write([{**mask_shape("cat", 5, 5, [[1, 1]]), "points": [[5, 5], [7, 5]]}])
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it may be a hundred million pixels of a few bytes"))
    with pytest.raises(ValueError, match="its mask of 1 x 2 pixels does not fit its points"):
        read_labelme(folder, classes=None)
