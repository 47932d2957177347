from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.convert.annotated import Annotated
from maskrcnn.data.convert.voc import read_indices, read_voc

CLASSES = ["cat", "dog", "person"]
# Two dogs and a person, from 1 on: xmin, ymin, xmax, ymax of the first and last pixels.
BOXES = [("dog", 0, (2, 3, 6, 8)), ("dog", 1, (12, 3, 20, 8)), ("person", 0, (25, 1, 30, 20))]


def write_indices(path: Path, indices: np.ndarray, bits: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(indices, "P")
    image.putpalette([i * 37 % 256 for i in range(3 << bits)])  # all kinds of colours, some of them twice
    image.save(path, bits=bits)


def xml(boxes: list[tuple[str, int, tuple[int, ...]]], head: str = "") -> str:
    sides = ("xmin", "ymin", "xmax", "ymax")
    entries = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><part><name>head</name></part>"
        f"<bndbox>{''.join(f'<{s}>{v}</{s}>' for s, v in zip(sides, box))}</bndbox></object>"
        for name, difficult, box in boxes
    )
    return f"{head}<annotation>{entries}</annotation>"


def draw(boxes: list[tuple[str, int, tuple[int, ...]]]) -> tuple[np.ndarray, np.ndarray]:
    """Label maps of objects and classes, [20, 30], with a row of border in each object."""
    objects, kinds = np.zeros((2, 20, 30), np.uint8)
    for index, (name, _, (x1, y1, x2, y2)) in enumerate(boxes, 1):
        objects[y1 - 1 : y2, x1 - 1 : x2] = index
        kinds[y1 - 1 : y2, x1 - 1 : x2] = CLASSES.index(name) + 1
        objects[y1, x1 - 1 : x2] = kinds[y1, x1 - 1 : x2] = 255
    return objects, kinds


@pytest.fixture
def voc(tmp_path: Path, picture: Callable[[Path], Path]) -> Path:
    root = tmp_path / "VOC2012"
    for name, boxes in (("a", BOXES), ("b", [])):
        picture(root / "JPEGImages" / f"{name}.jpg")
        for folder, indices in zip(("SegmentationObject", "SegmentationClass"), draw(boxes)):
            write_indices(root / folder / f"{name}.png", indices)
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(xml(boxes))
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\na\n")
    return root


def test_masks_classes_and_difficult_objects(voc: Path, through_coco: Callable[[Annotated], CocoAnnotations]) -> None:
    annotated = read_voc(voc, classes=CLASSES, split="val")
    annotations = through_coco(annotated)
    assert annotations.classes == ("cat", "dog", "person") and annotations.category_ids == (1, 2, 3)
    empty, full = annotations.records
    assert [empty.path.name, full.path.name] == ["b.jpg", "a.jpg"] and empty.objects.masks == []
    assert full.objects.labels.tolist() == [1, 2]
    assert full.objects.boxes.tolist() == [[1, 2, 5, 6], [24, 0, 6, 20]]
    assert full.objects.areas.tolist() == [25, 114]  # 5 x 6 and 6 x 20, a row less
    assert full.crowds.labels.tolist() == [1] and full.crowds.areas.tolist() == [45]
    for index, mask in zip((1, 3), full.objects.masks):
        decoded = coco_mask.decode({"size": [20, 30], "counts": mask})
        np.testing.assert_array_equal(decoded, draw(BOXES)[0] == index)
    assert annotated.findings == {"difficult objects: made crowd regions": ["a"]}


def test_the_class_is_that_of_most_pixels_but_the_border(voc: Path) -> None:
    kinds = draw(BOXES)[1]
    kinds[2:8, 1:6] = 255  # of the 25 pixels of the first object, 22 are border, 2 dog, 1 cat
    kinds[2, 1:4] = [2, 1, 2]
    write_indices(voc / "SegmentationClass" / "a.png", kinds)
    assert [found.label for found in read_voc(voc, classes=CLASSES, split="train").pictures[0].objects] == [1, 1, 2]


def test_lists_choose_pictures_and_all_are_read_without(voc: Path) -> None:
    names = {split: [p.path.stem for p in read_voc(voc, classes=CLASSES, split=split).pictures]
             for split in ("train", "val", None)}  # fmt: skip
    assert names == {"train": ["a"], "val": ["b", "a"], None: ["a", "b"]}


def test_a_name_may_hold_a_space(voc: Path) -> None:
    for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationObject", "png"), ("SegmentationClass", "png")):
        (voc / folder / f"a.{suffix}").rename(voc / folder / f"my a.{suffix}")
    (voc / "ImageSets" / "Segmentation" / "train.txt").write_text("my a\n\nb \n")
    annotated = read_voc(voc, classes=CLASSES, split="train")
    assert [picture.path.name for picture in annotated.pictures] == ["my a.jpg", "b.jpg"]


def test_without_xml_no_object_is_difficult_and_boxes_without_masks_are_named(voc: Path) -> None:
    file = voc / "Annotations" / "a.xml"
    file.write_text(
        xml([("cat", 1, BOXES[0][2]), ("dog", 1, (1, 12, 10, 20)), BOXES[0]])
    )  # another class, another place
    annotated = read_voc(voc, classes=CLASSES, split="train")
    assert [found.crowd for found in annotated.pictures[0].objects] == [False] * 3
    assert annotated.findings == {"boxes of an XML file without a mask: left out": ["a", "a"]}
    file.unlink()
    annotated = read_voc(voc, classes=CLASSES, split="train")
    assert [found.crowd for found in annotated.pictures[0].objects] == [False] * 3 and not annotated.findings


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_indices_are_read_and_not_colours(tmp_path: Path, bits: int) -> None:
    indices = (np.arange(15 * 20) % (1 << bits)).astype(np.uint8).reshape(15, 20)
    write_indices(tmp_path / "a.png", indices, bits)
    np.testing.assert_array_equal(read_indices(tmp_path / "a.png"), indices)
    Image.fromarray(indices).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_indices(tmp_path / "grey.png"), indices)


def test_colours_and_broken_files_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(ValueError, match=r"rgb\.png holds colours instead of indices \(mode RGB\); save it as a PNG"):
        read_indices(tmp_path / "rgb.png")
    write_indices(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ValueError, match=r"a\.png is not a picture, or broken: replace it"):
        read_indices(tmp_path / "a.png")


BOMB = '<!DOCTYPE bomb [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("head", [BOMB, '<!DOCTYPE annotation SYSTEM "http://127.0.0.1/x.dtd">'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_doctype_is_refused(voc: Path, head: str, encoding: str) -> None:
    (voc / "Annotations" / "a.xml").write_bytes(xml(BOXES, head).encode(encoding))
    with pytest.raises(ValueError, match=r"a\.xml is not an annotation of VOC, .*\(it has a DOCTYPE.*\): mend it"):
        read_voc(voc, classes=CLASSES, split="train")


def test_what_does_not_fit_together_is_named(voc: Path, picture: Callable[[Path], Path]) -> None:
    def refused(message: str, classes: list[str] = CLASSES, split: str = "train", source: Path = voc) -> None:
        with pytest.raises(ValueError, match=message):
            read_voc(source, classes=classes, split=split)

    refused(r"read\.split=test: no .*test\.txt; known: train, val", split="test")
    refused("has no folder JPEGImages; give the one that holds it", source=voc.parent)
    refused(r"a\.png, object 3 has the index 3 in SegmentationClass, but classes count from 1 to 2: name", CLASSES[:2])
    refused(r"read\.classes: 'cat', 'cat'; name one class or more, each once", ["cat", "cat"])
    (voc / "Annotations" / "a.xml").write_text("<annotation><object></annotation>")
    refused(r"a\.xml is not an annotation of VOC, or broken")
    (voc / "Annotations" / "a.xml").write_text(xml([]).replace("</ann", "<object><name>cat</name></object></ann"))
    refused(r"a\.xml is not an annotation of VOC, or broken")
    (voc / "Annotations" / "a.xml").write_text('<?xml version="1.0" encoding="none"?><annotation/>')
    refused(r"a\.xml is not an annotation of VOC, or broken \(unknown encoding: none\)")
    write_indices(voc / "SegmentationClass" / "a.png", np.zeros((5, 5), np.uint8))
    refused(r"SegmentationObject/a\.png is 20 x 30, but its SegmentationClass 5 x 5: replace one")
    write_indices(voc / "SegmentationObject" / "a.png", np.zeros((5, 5), np.uint8))
    refused(r"a\.png is for a picture 5 pixels high and 5 wide, but .*a\.jpg is 20 x 30")
    (voc / "SegmentationObject" / "a.png").unlink()
    refused(r"there is no .*a\.png: complete the folder")
    (voc / "JPEGImages" / "a.jpg").unlink()
    refused("JPEGImages has no picture a: complete it")
