"""A data set with every defect that is looked for, each of them once."""

import base64
import csv
import json
import re
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import Resize
from maskrcnn.data.selection import Selection
from maskrcnn.data.source import Split, Splits
from maskrcnn.inspection.anchors import cell_shapes
from maskrcnn.inspection.file import mended_paths, write_mended
from maskrcnn.inspection.finding import Finding
from maskrcnn.inspection.inspection import Inspection, glance, inspect
from maskrcnn.inspection.limits import Limits
from maskrcnn.inspection.page import write_page
from maskrcnn.inspection.pixels import SAME

SIDE = 64
STRIDES = (4, 8)
LIMITS = Limits(
    resize=Resize(shortest=[SIDE], longest=SIDE),
    read=PictureReader(3, 65535),
    object_slots=3,
    detections=2,
    shapes=cell_shapes(STRIDES, [4.0], [1.0]),
    strides=STRIDES,
    scaled=True,
)
ALL = Selection(None, None, None, None, 0, 1.0, None, 0.0)
CLASSES = [{"id": 1, "name": "cell"}, {"id": 2, "name": "bubble"}, {"id": 3, "name": "dust"}]


def noise(seed: int) -> np.ndarray:
    """Coarse random blocks: no two seeds resemble each other."""
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def square(id_: Any, image: int, x: float, y: float, side: float = 16, **changes: Any) -> dict[str, Any]:
    corners = [x, y, x + side, y, x + side, y + side, x, y + side]
    box = [x, y, side, side]
    annotation = {"id": id_, "image_id": image, "category_id": 1, "segmentation": [corners], "bbox": box}
    return {**annotation, "area": side * side, "iscrowd": 0, **changes}


def write(root: Path, part: str, dataset: dict[str, Any], **pictures: np.ndarray) -> Split:
    """A part, and pictures by their names without .png."""
    split = Split(root / part, root / f"{part}.json")
    split.images.mkdir(exist_ok=True)
    for name, pixels in pictures.items():
        cv2.imwrite(str(split.images / f"{name}.png"), pixels)
    split.annotations.write_text(json.dumps(dataset))
    return split


def lone(root: Path) -> Split:
    """A sound validation part of one grey picture."""
    dataset = {"images": [entry(1, "v.png")], "categories": CLASSES[:1], "annotations": [square(1, 1, 8, 8)]}
    return write(root, "val", dataset, v=noise(40)[..., 0])


def entry(id_: Any, name: str, **changes: Any) -> dict[str, Any]:
    return {"id": id_, "file_name": name, "height": SIDE, "width": SIDE, **changes}


@pytest.fixture
def planted(tmp_path: Path) -> Splits:
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
    folder = tmp_path / "train"
    for seed, name in enumerate(["plain.png", "size.png", "crowded.png", "odd.png"]):
        cv2.imwrite(str(folder / name), noise(seed))
    (folder / "copy.png").write_bytes((folder / "plain.png").read_bytes())
    (folder / "broken.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "odd.png").read_bytes()[:150])
    turned = Image.fromarray(noise(9)[:, :48])
    exif = Image.Exif()
    exif[0x112] = 6  # the camera was held upright
    turned.save(folder / "turned.jpg", exif=exif)
    images = [
        entry(1, "plain.png"),
        entry(2, "copy.png"),
        entry(3, "plain.png"),
        entry(3, "again.png"),
        entry(4, "gone.png", width=100),
        entry(5, "broken.png"),
        entry(6, "size.png", width=100),
        entry(7, "turned.jpg", width=48),
        entry(8, "crowded.png"),
        entry(9, "odd.png"),
        entry(10, "cut.png"),
        entry(11, "odd.png", height=None),
        {"id": 12},
    ]
    categories = [
        *CLASSES,
        {"id": 3, "name": "other"},
        {"id": 4, "name": "cell"},
        {"id": 5, "name": "Cell "},
        {"id": "6"},
    ]
    annotations = [
        *(square(100 + i, 8, 16 * i, 0, category_id=[1, 2][i % 2]) for i in range(4)),
        square(200, 1, 8, 8),
        square(200, 2, 8, 8),
        square(0, 1, 40, 8),
        square(201, 77, 8, 8),
        square(202, 1, 8, 8, category_id=88),
        square(203, 1, 8, 8, segmentation=None),
        square(204, 4, 8, 8),
        square(206, 4, 8, 8, segmentation=[]),
        square(207, 4, 90, 8, bbox=[90, 40, 16, 16]),
        square(208, 4, 8, 8, category_id=89),
        square(209, 6, 8, 8, segmentation=[]),
        square(205, 1, 30, 30, category_id=4),
        square(210, 9, 0, 0, bbox=[0, 0, 0, 16]),
        square(211, 9, 0, 20, bbox=None),
        square(212, 9, 0, 40, bbox=[-8, 40, 24, 16]),
        square(213, 7, 0, 0, bbox=[20, 20, 16, 16]),
        square(214, 7, 20, 0, segmentation=[[20, 0, 36, 0, 36, 16], [1, 1, 2, 2]], bbox=[20, 0, 16, 16]),
        square(215, 7, 20, 30, segmentation=[[20, 30, 36, 46, 36, 30, 20, 46]]),
        square(216, 7, 20, 0, segmentation={"size": [64, 48], "counts": "zzzz!!"}),
        square(217, 7, 20, 0, segmentation=[]),
        square(218, 7, 20, 0, segmentation=[[1, 1, 2, 2]]),
        square(219, 7, 44, 60, 1.5),
        square(220, 7, 20, 0, area=None),
    ]
    train = write(tmp_path, "train", {"images": images, "categories": categories, "annotations": annotations})
    near = np.clip(noise(2).astype(int) + 12, 0, 255).astype(np.uint8)
    for name, picture in {"own.png": noise(20), "near.png": near, "same.png": noise(1)}.items():
        cv2.imwrite(str(tmp_path / "val" / name), picture)
    (tmp_path / "val" / "same.png").write_bytes((folder / "odd.png").read_bytes())
    val_images = [entry(1, "own.png"), entry(2, "near.png"), entry(3, "same.png")]
    val_categories = [*CLASSES, {"id": 5, "name": "Cell "}]
    val = {"images": val_images, "categories": val_categories, "annotations": [square(1, 1, 8, 8)]}
    return Splits(train, write(tmp_path, "val", val))


def table(found: Inspection) -> dict[tuple[str, str, str], list[Any]]:
    return {(f.level, f.part, f.what): f.first for f in found.findings()}


CANNOT = "pictures that cannot be decoded, or not as this configuration reads them"
CUT = "cut.png is not a picture, or broken (150 bytes)"
PLANTED = {
    ("error", "train", "images without an id and a file_name"): [12],
    ("error", "train", "image ids of two pictures"): ["3 plain.png", "3 again.png"],
    ("error", "train", "pictures that are missing"): ["gone.png"],
    ("error", "train", "files that are no pictures, or broken"): ["broken.png"],
    ("error", "train", "images without a height and width"): [11],
    ("error", "train", "pictures of another size than their annotations are for"): ["size.png (64 x 64)"],
    ("error", "train", CANNOT): [CUT],
    ("error", "train", "categories without an integer id and a name"): ["6"],
    ("error", "train", "category ids that come twice"): [3],
    ("error", "train", "category names that come twice"): ["cell"],
    ("error", "train", "annotations of pictures that are not there"): [201],
    ("error", "train", "annotations of pictures that are left out"): [204, 206, 207, 208, 209],
    ("error", "train", "annotations of categories that are not there"): [202, 208],
    ("error", "train", "annotations without a segmentation"): [203],
    ("mended", "train", "annotations with run lengths that do not decode"): [216],
    ("mended", "train", "annotations with a box but no mask"): [206, 217],
    ("mended", "train", "annotations with no polygon of three or more points, x1, y1, x2, y2, ... in one list"): [218],
    ("mended", "train", "annotations with polygons of fewer than three points"): [214],
    ("mended", "train", "boxes without area, or not of four numbers"): [210],
    ("mended", "train", "annotations without a box"): [211],
    ("mended", "train", "annotations without an area"): [220],
    ("mended", "train", "annotation ids that come twice"): [200],
    ("mended", "train", "annotation ids that are zero or no number"): [0],
    ("note", "train", "boxes that leave their picture"): [207, 212],
    ("note", "train", "boxes that do not fit their masks"): [213],
    ("note", "train", "polygons that cross themselves"): [215],
    ("note", "train", "pictures that are listed under two ids"): ["9 11"],
    ("note", "train", "pictures annotated without their EXIF rotation"): ["turned.jpg"],
    ("note", "train", "class names that differ in case or blanks only"): ["'cell' 'Cell '"],
    ("note", "train", "classes without an object"): ["dust", "Cell "],
    ("note", "train", "pictures with objects under 2 px at the network's size"): [7],
    ("note", "train", "pictures with up to 5 objects, more than data.object_slots (3)"): [7, 8],
    ("note", "train", "pictures with up to 5 objects, more than model.box_head.max_detections (2)"): [1, 7, 8, 9],
    ("note", "train", "pictures that are copies of another"): ["copy.png = plain.png"],
    ("note", "val", "class names that differ in case or blanks only"): ["'cell' 'Cell '"],
    ("note", "val", "classes without an example in val: they count for nothing in the average"): ["bubble"],
    ("note", "val", "pictures of val that are in train too"): ["same.png = odd.png"],
    ("note", "val", "pictures of val that are nearly in train too"): ["near.png ~ crowded.png"],
}


def test_finds_each_planted_defect_and_no_other(planted: Splits) -> None:
    assert table(inspect([planted], ALL, "pixels", LIMITS)) == PLANTED


def test_boxes_without_a_mask_are_shown_with_the_remedy(tmp_path: Path) -> None:
    annotations = [square(1, 7, 8, 8), square(2, 7, 30, 8, segmentation=[]), square(3, 7, 8, 30, segmentation=None)]
    dataset = {"images": [entry(7, "a.png")], "categories": CLASSES[:1], "annotations": annotations}
    found = inspect([Splits(write(tmp_path, "train", dataset, a=noise(0)), None)], ALL, "headers", LIMITS)
    done = "fix=true: left out, so that their objects count as background: add masks, or remove their pictures"
    assert found.findings() == [
        Finding("error", "train", "annotations without a segmentation", 1, [3], done, [7]),
        Finding("mended", "train", "annotations with a box but no mask", 1, [2], done, [7]),
    ]


def test_a_remedy_says_whether_fix_does_it(planted: Splits) -> None:
    found = inspect([planted], ALL, "pixels", LIMITS)
    remedies = {finding.what: finding.remedy for finding in found.findings()}
    fixed = {what for what, remedy in remedies.items() if remedy.startswith("fix=true: ")}
    assert fixed == {change.what for file in found.files for change in file.findings.changes}
    assert remedies["boxes that do not fit their masks"] == "fix=true: taken from the mask"
    assert remedies["polygons that cross themselves"] == "draw them anew"


def test_headers_alone_find_what_needs_no_pixels(planted: Splits) -> None:
    pixels = {key for key in PLANTED if any(word in key[2] for word in ("decoded", "copies", "in train too"))}
    assert table(inspect([planted], ALL, "headers", LIMITS)) == {k: v for k, v in PLANTED.items() if k not in pixels}


def test_what_is_mended_reads_without_complaint(planted: Splits, tmp_path: Path) -> None:
    before = planted.train.annotations.read_bytes()
    train = inspect([planted], ALL, "headers", LIMITS).files[0]
    out, log = write_mended(train, tmp_path / "new" / "clean.json")
    assert planted.train.annotations.read_bytes() == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean = read_annotations(Split(planted.train.images, out))
    assert [record.path.name for record in clean.records] == [
        *("plain.png", "copy.png", "turned.jpg", "crowded.png", "odd.png", "cut.png", "odd.png")
    ]
    assert clean.classes == ("cell", "bubble", "dust", "Cell ")
    again = inspect([Splits(Split(planted.train.images, out), None)], ALL, "headers", LIMITS)
    assert {finding.level for finding in again.findings()} == {"note"}
    assert not again.files[0].findings.changes
    rows = list(csv.reader(log.open()))
    assert rows[0] == ["id", "what", "done"]
    assert ["213", "boxes that do not fit their masks", "taken from the mask"] in rows
    assert len(rows) == 1 + sum(
        f.number for f in train.findings.all() if f.level != "note"
    )  # two boxes more, less 206 and 208
    with pytest.raises(ValueError, match=r"clean\.json is already there: give another name by out"):
        mended_paths(out)


def test_what_is_mended_is_there_as_a_whole_or_not_at_all(
    planted: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = inspect([planted], ALL, "headers", LIMITS).files[0]

    def fill(path: Path, text: str, **_: str) -> None:
        path.write_bytes(text[: len(text) // 2].encode())
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(OSError, match="no space left"):
        write_mended(train, tmp_path / "new" / "clean.json")
    assert list((tmp_path / "new").iterdir()) == []


def test_classes_that_differ_are_errors(planted: Splits) -> None:
    assert planted.val is not None
    val = json.loads(planted.val.annotations.read_text())
    val["categories"] = [{"id": 1, "name": "cell"}, {"id": 2, "name": "bubbles"}]
    planted.val.annotations.write_text(json.dumps(val))
    found = table(inspect([planted], ALL, "headers", LIMITS))
    assert found["error", "val", "classes that val lacks"] == ["Cell ", "bubble", "dust"]
    assert found["error", "val", "classes that train lacks"] == ["bubbles"]


def test_a_sound_data_set_has_no_findings(tmp_path: Path) -> None:
    dataset = {"images": [entry(1, "a.png")], "categories": CLASSES[:1], "annotations": [square(1, 1, 8, 8)]}
    found = inspect([Splits(write(tmp_path, "train", dataset, a=noise(0)), None)], ALL, "pixels", LIMITS)
    assert found.findings() == []
    assert found.reach is not None and found.reach.suggestion is None
    assert found.reach.by_size == {"all": (1, 1.0, 1.0), "small (under 32 px)": (1, 1.0, 1.0)}
    assert found.pixels is not None
    np.testing.assert_allclose(found.pixels[0], noise(0)[..., ::-1].mean((0, 1)))
    np.testing.assert_allclose(found.pixels[1], noise(0)[..., ::-1].std((0, 1)))


def test_nothing_left_is_said(tmp_path: Path) -> None:
    dataset = {"images": [entry(1, "a.png")], "categories": CLASSES, "annotations": [square(1, 1, 8, 8)]}
    with pytest.raises(ValueError) as error:
        inspect([Splits(write(tmp_path, "train", dataset), None)], ALL, "headers", LIMITS)
    assert "no usable picture is left, after leaving out\n- pictures that are missing: 1" in str(error.value)


def test_a_run_stops_at_pictures_that_are_broken_or_of_another_size(planted: Splits) -> None:
    dataset = json.loads(planted.train.annotations.read_text())
    images = [
        entry(1, "plain.png"),
        entry(5, "broken.png"),
        entry(6, "size.png", width=100),
        entry(7, "turned.jpg", width=48),
    ]
    sound = {**dataset, "images": images, "categories": CLASSES, "annotations": [square(1, 1, 8, 8)]}
    planted.train.annotations.write_text(json.dumps(sound))
    with pytest.raises(ValueError) as error:
        glance([planted], ALL, LIMITS)
    first, broken, size, remedy = str(error.value).splitlines()
    assert first.endswith("train.json: 2 of 4 pictures cannot be used")
    assert "broken.png is not a picture, or broken: replace it" in broken
    assert size.endswith("size.png is 64 x 64, but its annotations are for 64 x 100")
    assert "fix=true out=clean.json" in remedy


def test_channels_that_the_header_tells_are_those_of_the_configuration(tmp_path: Path) -> None:
    images = [entry(1, "grey.png"), entry(2, "colour.png")]
    dataset = {"images": images, "categories": CLASSES[:1], "annotations": [square(1, 1, 8, 8), square(2, 2, 8, 8)]}
    train = write(tmp_path, "train", dataset, grey=noise(0)[..., 0], colour=noise(1))
    splits = Splits(train, lone(tmp_path))
    assert table(inspect([splits], ALL, "headers", LIMITS)) == {}  # grey ones are replicated
    one = LIMITS._replace(read=PictureReader(1, 65535))
    assert table(inspect([splits], ALL, "headers", one)) == {
        ("error", "train", "pictures of 3 channels, where data.channels is 1"): ["colour.png"],
        ("error", "train", "annotations of pictures that are left out"): [2],
    }
    glance([splits], ALL, LIMITS)
    with pytest.raises(
        ValueError, match=r"1 of 2 pictures .*\n- .*colour\.png has 3 channels, but data\.channels is 1"
    ):
        glance([splits], ALL, one)


def test_a_run_hears_of_objects_too_small_and_of_anchors_too_far(tmp_path: Path, monkeypatch: Any) -> None:
    objects = [square(1, 7, 8, 8), square(2, 7, 4, 4, 1.5), square(3, 7, 0, 0, 60)]
    dataset = {"images": [entry(7, "a.png")], "categories": CLASSES[:1], "annotations": objects}
    split = write(tmp_path, "train", dataset, a=noise(0))
    splits = Splits(split, lone(tmp_path))
    assert glance([splits], ALL, LIMITS) == [
        f"{split.annotations}: pictures with objects under 2 px at the network's size: 1 (ids 7)",
        f"{split.annotations}: anchors reach 33.3% of the objects at IoU 0.5, 33.3% at 0.7",
    ]
    cache = tmp_path / "cache"
    with monkeypatch.context() as patch:  # where that cannot be kept, the run goes on
        patch.setenv("XDG_CACHE_HOME", str(cache))
        (cache / "maskrcnn").mkdir(parents=True)
        (cache / "maskrcnn" / "headers").touch()
        assert len(glance([splits], ALL, LIMITS)) == 2
    monkeypatch.setattr("maskrcnn.inspection.headers.read_header", None)  # headers are not read a second time
    assert len(glance([splits], ALL, LIMITS)) == 2
    cv2.imwrite(str(tmp_path / "train" / "a.png"), noise(1)[:, :8])
    with pytest.raises(TypeError):  # until a picture changes
        glance([splits], ALL, LIMITS)


def test_pictures_that_do_not_decode_are_left_out_of_what_is_mended(planted: Splits) -> None:
    train = inspect([planted], ALL, "pixels", LIMITS).files[0]
    assert "cut.png" in [record.path.name for record in train.records]
    assert "cut.png" not in [image["file_name"] for image in train.mended["images"]]
    assert [change.done for change in train.findings.changes if change.what == CANNOT] == [
        "left out with their annotations"
    ]


def test_mixed_sets_are_held_against_each_other(planted: Splits) -> None:
    assert planted.val is not None
    sets = [Splits(planted.val, None, name="first"), planted._replace(name="second")]
    same = ["own.png = own.png", "near.png = near.png", "same.png = same.png"]
    assert table(inspect(sets, ALL, "headers", LIMITS))["note", "second/val", SAME] == same
    assert set(same) < set(table(inspect(sets, ALL, "pixels", LIMITS))["note", "second/val", SAME])
    said = glance([Splits(planted.val, planted.val)], ALL, LIMITS)
    assert said[0] == (
        f"warning: {planted.val.annotations} (val): {SAME}: 3 (ids own.png = own.png, near.png = near.png, "
        "same.png = same.png): AP tells there what was learnt by heart"
    )


def test_the_name_of_a_mixed_set_is_text_in_the_page(planted: Splits, tmp_path: Path) -> None:
    assert planted.val is not None
    found = inspect([Splits(planted.val, planted.val, name="<b>a"), planted._replace(name="b")], ALL, "headers", LIMITS)
    write_page(found, LIMITS.read, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h2>&lt;b&gt;a/train</h2>" in page and "<b>a" not in page


def test_objects_that_are_annotated_twice_are_named(tmp_path: Path) -> None:
    objects = [square(7, 1, 8, 8), square(8, 1, 8, 8, category_id=2), square(9, 1, 9, 8), square(10, 2, 8, 8)]
    objects.append(square(7, 1, 8, 8))
    # Of the same box and area, but another mask:
    objects += [
        square(11 + i, 2, 30, 30, segmentation=[[30, 30, 40, 30, *tip]]) for i, tip in enumerate([(30, 40), (40, 40)])
    ]
    images = [entry(1, "a.png"), entry(2, "b.png")]
    dataset = {"images": images, "categories": CLASSES[:2], "annotations": objects}
    split = write(tmp_path, "train", dataset, a=noise(0), b=noise(1))
    found = table(inspect([Splits(split, split)], ALL, "headers", LIMITS))
    assert found["note", "train", "annotations with the same mask as another of their picture"] == ["8 = 7", "7 = 7"]


def test_a_picture_of_two_mixed_sets_is_named(tmp_path: Path) -> None:
    sets = []
    for name, seeds in {"old": [0, 1], "new": [1, 2]}.items():
        images = [entry(seed, f"{name}{seed}.png") for seed in seeds]
        dataset = {"images": images, "categories": CLASSES[:1], "annotations": [square(1, 1, 8, 8)]}
        pictures = {f"{name}{seed}": noise(seed) for seed in seeds}
        sets.append(Splits(write(tmp_path, name, dataset, **pictures), None, name=name))
    sets[0] = sets[0]._replace(val=lone(tmp_path))
    found = table(inspect(sets, ALL, "pixels", LIMITS))
    assert found["note", "new/train", "pictures that another data set has too"] == ["new1.png = old1.png of old/train"]
    assert not any(part == "old/train" for _, part, _ in found)


def test_parts_without_objects(tmp_path: Path) -> None:
    empty = {"images": [entry(1, "a.png")], "categories": CLASSES[:1], "annotations": []}
    split = write(tmp_path, "train", empty, a=noise(0))
    found = table(inspect([Splits(split, split)], ALL, "headers", LIMITS))
    assert found["error", "train", "parts without a usable object: there is nothing to learn"] == ["train"]
    assert found["note", "val", "parts without an object: AP cannot be measured"] == ["val"]


@pytest.mark.parametrize("value, crowd", [("0", 0), ("1", 1), ("yes", 0), (2, 0)])
def test_iscrowd_is_0_or_1(tmp_path: Path, value: Any, crowd: int) -> None:
    objects = [square(1, 1, 8, 8), square(2, 1, 30, 8, iscrowd=value)]
    dataset = {"images": [entry(1, "a.png")], "categories": CLASSES[:1], "annotations": objects}
    split = write(tmp_path, "train", dataset, a=noise(0))
    with pytest.warns(UserWarning, match=r"1 annotation with an iscrowd that is neither 0 nor 1: .* \(ids 2\)"):
        record = read_annotations(split).records[0]
    assert len(record.crowds.masks) == crowd and len(record.objects.masks) == 2 - crowd
    part = inspect([Splits(split, None)], ALL, "headers", LIMITS).files[0]
    assert part.mended["annotations"][1]["iscrowd"] == crowd
    assert [change.id for change in part.findings.changes] == [2]


def test_a_polygon_that_is_not_in_a_list_is_put_into_one(tmp_path: Path) -> None:
    split = lone(tmp_path)
    dataset = json.loads(split.annotations.read_bytes())
    (polygon,) = dataset["annotations"][0]["segmentation"]
    dataset["annotations"][0]["segmentation"] = polygon
    part = inspect([Splits(write(tmp_path, "val", dataset), None)], ALL, "headers", LIMITS).files[0]
    assert part.mended["annotations"][0]["segmentation"] == [polygon]
    assert [change.id for change in part.findings.changes] == [1]


def test_a_category_id_that_is_a_text_is_made_a_number(tmp_path: Path) -> None:
    objects = [square(1, 1, 8, 8, category_id="1"), square(2, 1, 32, 8, category_id="9"), square(3, 1, 8, 32)]
    dataset = {"images": [entry(1, "a.png")], "categories": CLASSES[:1], "annotations": objects}
    found = inspect([Splits(write(tmp_path, "train", dataset, a=noise(0)), None)], ALL, "headers", LIMITS).files[0]
    kept = [(annotation["id"], annotation["category_id"]) for annotation in found.mended["annotations"]]
    assert kept == [(1, 1), (3, 1)]
    assert [(change.id, change.done) for change in found.findings.changes] == [(1, "made a number"), (2, "left out")]


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    split = write(tmp_path, "train", {"images": [], "categories": [], "annotations": []})
    with pytest.raises(ValueError, match=r"train\.json: no usable picture is left: 'images' is empty"):
        inspect([Splits(split, None)], ALL, "headers", LIMITS)


def test_classes_that_a_map_drops_are_not_looked_at(tmp_path: Path) -> None:
    objects = [square(1, 1, 8, 8), square(2, 1, 40, 40, 1.5, category_id=3), square(3, 1, 30, 8, bbox=None)]
    dataset = {"images": [entry(1, "a.png")], "categories": CLASSES, "annotations": objects}
    val = lone(tmp_path)
    val.annotations.write_text(json.dumps({**json.loads(val.annotations.read_text()), "categories": CLASSES}))
    sources = [Splits(write(tmp_path, "train", dataset, a=noise(0)), val)]
    defect = {("mended", "train", "annotations without a box"): [3]}
    small = "pictures with objects under 2 px at the network's size"
    slots = "pictures with up to 3 objects, more than model.box_head.max_detections (2)"
    assert table(inspect(sources, ALL, "pixels", LIMITS)) == {
        **defect,
        ("note", "train", small): [1],
        ("note", "train", slots): [1],
        ("note", "train", "classes without an object"): ["bubble"],
        ("note", "val", "classes without an example in val: they count for nothing in the average"): ["dust"],
    }
    mapped = Selection(None, None, None, None, 0, 1.0, {"body": ["cell"]}, 0.0)
    found = inspect(sources, mapped, "pixels", LIMITS)
    assert table(found) == defect
    assert [(part.content.classes, len(part.content.labels)) for part in found.parts] == [
        (("body",), 2),
        (("body",), 1),
    ]
    assert found.reach is not None and found.reach.by_size["all"][0] == 2
    assert f"{sources[0].train.annotations}: {small}: 1 (ids 1)" in glance(sources, ALL, LIMITS)
    assert glance(sources, mapped, LIMITS) == []


def test_parts_are_those_that_a_fold_selects(tmp_path: Path) -> None:
    names = ["a_1.png", "a_2.png", "b_1.png", "b_2.png"]
    images = [entry(number, name) for number, name in enumerate(names, 1)]
    objects = [square(number, number, 8, 8, category_id=2 if number == 4 else 1) for number in range(1, 5)]
    objects.append(square(5, 4, 40, 40, 1.5))
    dataset = {"images": images, "categories": CLASSES[:2], "annotations": objects}
    split = write(tmp_path, "train", dataset, a_1=noise(0), a_2=noise(1), b_1=noise(0), b_2=noise(3))
    for fold in (0, 1):
        selection = Selection(fold, 2, None, "^(.)_", 0, 1.0, None, 0.0)
        found = inspect([Splits(split, None)], selection, "pixels", LIMITS)
        assert [part.name for part in found.parts] == ["train", "val"] and len(found.files) == 1
        learnt, scored = (part.records.names() for part in found.parts)
        assert sorted(learnt + scored) == names and {name[0] for name in learnt} != {name[0] for name in scored}
        holder, other = ("train", "val") if "b_1.png" in learnt else ("val", "train")
        lacks = {"val": "they count for nothing in the average", "train": "they cannot be learnt"}[other]
        pair = {"train": "a_1.png = b_1.png", "val": "b_1.png = a_1.png"}[holder]
        assert table(found) == {
            ("note", "train", "pictures that are copies of another"): ["b_1.png = a_1.png"],  # of the file
            ("note", "val", SAME): [pair],
            ("note", holder, "pictures with objects under 2 px at the network's size"): [4],
            ("note", other, f"classes without an example in {other}: {lacks}"): ["bubble"],
        }
        own = np.concatenate([cv2.imread(str(split.images / name))[..., ::-1] for name in learnt])
        assert found.pixels is not None
        np.testing.assert_allclose(found.pixels[0], own.mean((0, 1)))
        said = f"{split.annotations} ({holder}): pictures with objects under 2 px at the network's size: 1 (ids 4)"
        assert said in glance([Splits(split, None)], selection, LIMITS)


def test_a_selection_that_cannot_be_made_leaves_the_files_to_be_looked_at(planted: Splits) -> None:
    wrong = Selection(None, None, None, None, 0, 1.0, {"body": ["bone"]}, 0.0)
    assert table(inspect([planted], wrong, "headers", LIMITS)) == table(inspect([planted], ALL, "headers", LIMITS))


@pytest.mark.parametrize("brightest, max_value, advice", [(4001, 65535, 4095), (255, 65535, 255), (4001, 8190, 4095)])
def test_dark_pictures_of_16_bits_hint_at_max_value(
    tmp_path: Path, brightest: int, max_value: int, advice: int
) -> None:
    pixels, opacity = noise(0).astype(int), np.full((SIDE, SIDE, 1), 65535, np.uint16)  # which is no brightness
    dark, bright = (
        np.dstack([(pixels * value // pixels.max()).astype(np.uint16), opacity])
        for value in (brightest // 3, brightest)
    )
    images = [entry(1, "dark.png"), entry(2, "bright.png")]
    dataset = {"images": images, "categories": CLASSES[:1], "annotations": [square(1, 1, 8, 8)]}
    train = write(tmp_path, "train", dataset, dark=dark, bright=bright)
    sources = [Splits(train, lone(tmp_path))]  # whose picture has 8 bits

    def hints(max_value: int) -> list[tuple[Any, ...]]:
        limits = LIMITS._replace(read=PictureReader(3, max_value))
        found = inspect(sources, ALL, "pixels", limits).findings()
        return [(f.part, f.what, f.first, f.remedy) for f in found if "16 bits" in f.what]

    what = f"pictures of 16 bits, whose brightest value is {brightest} (data.max_value is {max_value})"
    remedy = f"data.max_value={advice} uses the whole range"
    assert hints(max_value) == [("train", what, ["dark.png", "bright.png"], remedy)]
    assert hints(advice) == hints(2 * advice - 2) == []


def test_annotated_pictures_of_one_colour_are_named(tmp_path: Path) -> None:
    hidden = np.dstack([noise(0), np.zeros((SIDE, SIDE, 1), np.uint8)])  # which an image viewer may show
    faint = np.full((SIDE, SIDE, 3), 7, np.uint8)
    faint[4:8, 4:8] = 60
    images = [entry(1, "hidden.png"), entry(2, "faint.png"), entry(3, "blank.png")]
    annotations = [square(1, 1, 8, 8), square(2, 2, 8, 8)]  # none in the blank one
    dataset = {"images": images, "categories": CLASSES[:1], "annotations": annotations}
    train = write(tmp_path, "train", dataset, hidden=hidden, faint=faint, blank=np.zeros_like(faint))
    found = inspect([Splits(train, lone(tmp_path))], ALL, "pixels", LIMITS).findings()
    assert [(f.part, f.level, f.first, f.pictures) for f in found if "of one colour" in f.what] == [
        ("train", "note", ["hidden.png"], [1])
    ]


def test_pictures_where_something_was_found_can_be_enlarged(tmp_path: Path) -> None:
    dataset = {"images": [entry(1, "a.png", height=768, width=1536)], "categories": CLASSES[:1], "annotations": []}
    dataset["annotations"] = [square(1, 1, 8, 8, 200), square(2, 1, 8, 8, 200)]  # annotated twice
    train = write(tmp_path, "train", dataset, a=noise(0).repeat(12, 0).repeat(24, 1))
    found = inspect([Splits(train, None)], ALL, "headers", LIMITS)
    write_page(found, LIMITS.read, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    shown = re.findall(r'(<input type="checkbox">)?<img alt="([^"]*)" src="data:image/jpeg;base64,([^"]*)">', page)
    sizes = [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1).shape[:2] for *_, data in shown]
    twice = "annotations with the same mask as another of their picture: a.png"
    assert [(bool(box), alt) for box, alt, _ in shown] == [(True, twice), (False, "a.png")]
    assert sizes == [(512, 1024), (165, 330)]
    assert "label input:checked + img { max-width: 100%; max-height: none;" in page
