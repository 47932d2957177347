from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.convert.annotated import Annotated
from maskrcnn.data.convert.coco import read_coco, write_coco
from maskrcnn.data.convert.yolo import label_path, read_yolo
from maskrcnn.data.convert.yolo_write import write_yolo

POLYGON = "0 0.1 0.25 0.5 0.25 0.5 0.75 0.1 0.75"  # in 30 x 20: x from 3 to 15, y from 5 to 15
BOX = "1 0.5 0.5 0.2 0.4"  # x from 12 to 18, y from 6 to 14


@pytest.fixture
def plain(tmp_path: Path, picture: Callable[[Path], Path]) -> Path:
    """images/, labels/ and classes.txt; b has no labels."""
    root = tmp_path / "plain"
    picture(root / "images" / "a.png")
    picture(root / "images" / "b.PNG")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text(f"{POLYGON}\n\n{BOX}\n")
    (root / "classes.txt").write_text("cat\nguide dog\n\n")
    return root


def test_polygons_and_boxes(plain: Path, through_coco: Callable[[Annotated], CocoAnnotations]) -> None:
    annotated = read_yolo(plain, split=None)
    annotations = through_coco(annotated)
    assert annotations.classes == ("cat", "guide dog")
    first, second = annotations.records
    assert (first.path, first.height, first.width) == (plain / "images" / "a.png", 20, 30)
    assert first.objects.labels.tolist() == [0, 1]
    assert first.objects.boxes.tolist() == [[3, 5, 12, 10], [12, 6, 6, 8]]
    assert first.objects.areas.tolist() == [120, 48]
    assert second.objects.masks == []
    assert annotated.findings == {
        "boxes: made rectangles": ["a.txt:3"],
        "pictures without a label file: taken as without objects": ["b.PNG"],
    }


def test_coordinates_are_of_the_picture_turned_by_its_exif_entry(plain: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (30, 20)).save(plain / "images" / "a.jpg", exif=exif)
    (plain / "images" / "a.png").unlink()
    found = read_yolo(plain, split=None).pictures[0]
    assert (found.height, found.width) == (30, 20)
    assert found.objects[0].polygons == [pytest.approx([2, 7.5, 10, 7.5, 10, 22.5, 2, 22.5])]


def test_folders_in_images_are_splits(plain: Path, picture: Callable[[Path], Path]) -> None:
    for split in ("train", "val"):
        picture(plain / "images" / split / f"{split}.png")
        (plain / "labels" / split).mkdir()
        (plain / "labels" / split / f"{split}.txt").write_text(POLYGON)
    assert [p.path.name for p in read_yolo(plain, split="val").pictures] == ["val.png"]
    assert [p.path.name for p in read_yolo(plain, split=None).pictures] == ["a.png", "b.PNG"]
    left = "pictures in folders of images/: left out; read.split names a folder to read"
    assert read_yolo(plain, split=None).findings[left] == ["train/train.png", "val/val.png"]
    assert left not in read_yolo(plain, split="val").findings
    for name in ("a.png", "b.PNG"):
        (plain / "images" / name).unlink()
    with pytest.raises(
        ValueError, match=r"holds no picture itself; choose one of its folders by read\.split: train, val"
    ):
        read_yolo(plain, split=None)


@pytest.mark.parametrize("names", [["cat", "dog"], {0: "cat", 1: "dog"}, {1: "dog", 0: "cat"}])
@pytest.mark.parametrize(
    ("path", "place"),
    [
        (None, "images"),
        (None, "../images"),  # Roboflow's
        (None, ["images"]),
        ("sub/..", "images"),
        (None, "list.txt"),
    ],
)
def test_data_yaml(plain: Path, names: object, path: str | None, place: object) -> None:
    (plain / "sub").mkdir()
    (plain / "list.txt").write_text("./images/a.png\nimages/b.PNG\n")
    entry = {"names": names, "val": place} | ({} if path is None else {"path": path})
    (plain / "data.yaml").write_text(yaml.safe_dump(entry))
    for source in (plain, plain / "data.yaml"):
        annotated = read_yolo(source, split="val")
        assert annotated.classes == ("cat", "dog")
        assert [len(p.objects) for p in annotated.pictures] == [2, 0]
    with pytest.raises(ValueError, match=r"read\.split=train: .*data\.yaml has val; choose one"):
        read_yolo(plain, split="train")


def test_labels_lie_below_the_last_folder_called_images() -> None:
    assert label_path(Path("images/x/images/train/a.b.jpg")) == Path("images/x/labels/train/a.b.txt")
    assert label_path(Path("photos/a.jpg")) == Path("photos/a.txt")


def test_labels_named_after_whole_files_and_labels_without_a_picture(plain: Path) -> None:
    (plain / "images" / "a.jpg").write_bytes((plain / "images" / "a.png").read_bytes())
    (plain / "labels" / "a.jpg.txt").write_text(POLYGON)  # as predict.py tells a.jpg from a.png
    (plain / "labels" / "orphan.txt").write_text(POLYGON)
    (plain / "labels" / "classes.txt").write_text("cat\ndog")
    annotated = read_yolo(plain, split=None)
    assert [(p.path.name, len(p.objects)) for p in annotated.pictures] == [("a.jpg", 1), ("a.png", 2), ("b.PNG", 0)]
    assert annotated.findings["label files without a picture of their own: left out"] == ["orphan.txt"]
    (plain / "labels" / "a.png.txt").write_text(POLYGON)  # a.txt is then nobody's
    annotated = read_yolo(plain, split=None)
    assert [len(p.objects) for p in annotated.pictures] == [1, 1, 0]
    assert annotated.findings["label files without a picture of their own: left out"] == ["a.txt", "orphan.txt"]


def test_a_coordinate_slightly_over_the_border_is_moved_onto_it(plain: Path) -> None:
    (plain / "labels" / "a.txt").write_text("0 -0.005 0.25 1.005 0.25 0.5 1.01")
    assert read_yolo(plain, split=None).pictures[0].objects[0].polygons == [[0, 5, 30, 5, 15, 20]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.1 0.2 x 0.3 0.4 0.5", r"a\.txt, line 2: '0 0\.1 0\.2 x.* is not all numbers; write class x1 y1"),
        ("2 0.1 0.2 0.3 0.4", r"a\.txt, line 2: the class is 2, but 2 are named, from 0 on"),
        ("-1 0.1 0.2 0.3 0.4", r"line 2: the class is -1"),
        ("0.5 0.1 0.2 0.3 0.4", r"line 2: the class is 0\.5"),
        ("nan 0.1 0.2 0.3 0.4", r"line 2: the class is nan"),
        ("0 0.1 0.2 0.3 0.4 0.9", r"line 2: 5 numbers after the class are neither a box \(4\) nor a polygon"),
        ("0", r"line 2: 0 numbers after the class"),
        ("0 0.1 0.2 12 0.4", r"line 2: the coordinate 12\.0 is not a share of the picture; divide x by its width"),
        ("0 0.1 0.2 nan 0.4 0.5 0.6", r"line 2: the coordinate nan is not a share"),
    ],
)
def test_broken_lines_are_named(plain: Path, line: str, message: str) -> None:
    (plain / "labels" / "a.txt").write_text(f"{POLYGON}\n{line}\n")
    with pytest.raises(ValueError, match=message):
        read_yolo(plain, split=None)


def test_what_does_not_fit_together_is_named(plain: Path) -> None:
    def refused(message: str, content: str | None = None, source: Path = plain) -> None:
        if content is not None:
            (plain / "data.yaml").write_text(content)
        with pytest.raises(ValueError, match=message):
            read_yolo(source, split=None)

    refused("neither data.yaml nor .*classes.txt; give the folder", source=plain / "images")
    (plain / "labels" / "a.txt").rename(plain / "labels" / "c.txt")
    refused(r"none of the 2 pictures has labels; .*labels/a\.txt is missing")
    refused(r"data\.yaml is not YAML, or broken \(.*line 1.*\): mend it", "names: [")
    refused(r"data\.yaml has no 'names'; add the classes", "nc: 2")
    refused(r"the keys of 'names' must be 0 to 1, but are \[1, 2\]", "names: {1: cat, 2: dog}")
    refused(r"'path' is '/nowhere', but there is no /nowhere; correct it", "{names: [cat], path: /nowhere}")
    refused(r"'path' is \[\[1, 2, 3, 4, 5, 6, \.\.\.\]\]; it must be", "{names: [cat], path: [[1, 2, 3, 4, 5, 6, 7]]}")
    refused("has 'kpt_shape': its labels are boxes with key points", "{names: [cat], kpt_shape: [4, 3], train: images}")
    refused(r"read\.split=None: .* has train; choose one", "{names: [cat], train: images}")
    refused("is not YAML, or broken", "[" * 10_000)
    (plain / "data.yaml").write_text("{names: [cat], train: pictures}")
    with pytest.raises(ValueError, match=r"data\.yaml: there is no .*pictures; correct 'path' and the splits"):
        read_yolo(plain, split="train")


def test_to_coco_and_back_gives_the_same_numbers(plain: Path, tmp_path: Path) -> None:
    lines = [POLYGON, "1 0.333333 0 1 0.123457 0.9999999999 1 0.1 0.7", "0 0.0000125 0.5 0.7 0.000001 0.3 0.2"]
    (plain / "labels" / "a.txt").write_text("\n".join(lines) + "\n")
    write_coco(read_yolo(plain, split=None), tmp_path / "all.json")
    annotated = read_coco(tmp_path / "all.json", images=str(plain))
    assert annotated.findings == {}
    for pictures in ("copy", "symlink"):
        out = tmp_path / pictures
        write_yolo(annotated, out, split="val", pictures=pictures)
        written = out / "images" / "images" / "a.png"  # file_names start from the folder of images/
        assert label_path(written).read_text().splitlines() == lines
        assert label_path(written.with_name("b.PNG")).read_text() == ""
        assert written.read_bytes() == (plain / "images" / "a.png").read_bytes()
        assert written.is_symlink() == (pictures == "symlink")
        assert yaml.safe_load((out / "data.yaml").read_text()) == {"val": "images", "names": {0: "cat", 1: "guide dog"}}
        again = read_yolo(out, split="val")
        assert again.classes == annotated.classes
        assert [p.objects for p in again.pictures] == [p.objects for p in read_yolo(plain, split=None).pictures]


def test_one_data_yaml_names_splits_that_were_written_apart(plain: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_yolo(read_yolo(plain, split=None), tmp_path / "yolo" / split, split=split, pictures="copy")
    entry = {
        "path": str(tmp_path / "yolo"),
        "train": "train/images",
        "val": "val/images",
        "names": ["cat", "guide dog"],
    }
    (tmp_path / "yolo" / "data.yaml").write_text(yaml.safe_dump(entry))
    for split in ("train", "val"):
        again = read_yolo(tmp_path / "yolo", split=split)
        folder = tmp_path / "yolo" / split / "images" / "images"
        assert [picture.path for picture in again.pictures] == [folder / "a.png", folder / "b.PNG"]
        assert [found.label for found in again.pictures[0].objects] == [0, 1]


@pytest.mark.parametrize("line", ["{b}: &{b} [*{a}, *{a}]", "{b}: &{b} {{<<: [*{a}, *{a}], {b}: 1}}"])
def test_aliases_are_refused(plain: Path, line: str) -> None:
    """Each line doubles the one before, as text or as soon as it is read: with 40 more it would take forever."""
    doubled = "\n".join(line.format(a=a, b=b) for a, b in zip("abcdefgh", "bcdefghi"))
    (plain / "data.yaml").write_text(f"a: &a {{x: 1}}\n{doubled}\nnames: [cat, guide dog]\ntrain: images\n")
    with pytest.raises(ValueError, match=r"data\.yaml has aliases of YAML \(\*name\), which are not read: write out"):
        read_yolo(plain, split="train")
