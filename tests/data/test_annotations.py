import json
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.data import annotations as reader
from maskrcnn.data import coco_file
from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.entries import EntryReader, Mended
from maskrcnn.data.records import Annotations, Picture
from maskrcnn.data.source import CocoSource, Split

Dataset = dict[str, Any]
Write = Callable[[Dataset], Split]


def test_a_good_file(tiny: Dataset, write: Write, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        annotations = read_annotations(write(tiny))
    assert annotations.classes == ("cat", "dog")  # in the order of the category ids
    assert annotations.category_ids == (3, 9)
    first, second = annotations.records
    assert (first.id, first.path, first.height, first.width) == (10, tmp_path / "a.png", 20, 30)
    assert first.objects.labels.tolist() == [1]
    assert first.objects.boxes.tolist() == [[2, 3, 4, 4]]
    assert first.objects.areas.tolist() == [16]
    assert first.crowds.labels.tolist() == [0]
    assert second.id == 7
    assert second.objects.boxes.shape == (0, 4)
    assert second.objects.masks == []


def test_paths_of_windows_are_read(tiny: Dataset, write: Write, tmp_path: Path) -> None:
    tiny["images"][0]["file_name"] = "in\\a.png"
    split = write(tiny)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    assert read_annotations(split).records[0].path == tmp_path / "in" / "a.png"
    assert coco_file.read_json(split.annotations)["images"][0]["file_name"] == "in/a.png"


def test_pictures_of_lvis_are_named_by_their_address(tiny: Dataset, write: Write, tmp_path: Path) -> None:
    """Its files of version 1 have no file_name, and both parts hold pictures of COCO's train2017."""
    del tiny["images"][0]["file_name"]
    tiny["images"][0]["coco_url"] = "http://images.cocodataset.org/train2017/000000391895.jpg"
    tiny["images"][1]["coco_url"] = "http://images.cocodataset.org/train2017/other.jpg"  # beside a name: plays no role
    name = tiny["images"][1]["file_name"]
    split = write(tiny)
    (tmp_path / "train2017").mkdir()
    (tmp_path / "train2017" / "000000391895.jpg").touch()
    paths = [record.path for record in read_annotations(split).records]
    assert paths == [tmp_path / "train2017" / "000000391895.jpg", tmp_path / name]
    assert coco_file.read_json(split.annotations)["images"][0]["file_name"] == "train2017/000000391895.jpg"


def test_a_polygon_that_is_not_in_a_list_is_read_as_the_only_one(tiny: Dataset, write: Write) -> None:
    tiny["annotations"][0]["segmentation"] = tiny["annotations"][0]["segmentation"][0]
    with pytest.warns(UserWarning, match=r"1 annotation with a polygon that is not in a list .* \(ids 5\)"):
        objects = read_annotations(write(tiny)).records[0].objects
    assert coco_mask.decode({"size": [20, 30], "counts": objects.masks[0]}).sum() == 16


@pytest.mark.parametrize("far", [[0, 0, 1, 0, 1, 1.5, 0, 1.5], [-4, 0, 1, 0, 1, 1, -4, 1]])
def test_coordinates_from_0_to_1_are_no_pixels(tiny: Dataset, write: Write, far: list[float]) -> None:
    tiny["annotations"][0]["segmentation"] = [[0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]]  # would be the first pixel
    tiny["annotations"][1]["segmentation"] = [far]
    with pytest.warns(UserWarning, match=r"1 annotation with coordinates from 0 to 1.*: left out \(ids 5\)"):
        (record, _) = read_annotations(write(tiny)).records
    assert (len(record.objects.masks), len(record.crowds.masks)) == (0, 1)


def test_ground_truth_has_internal_ids(tiny: Dataset, write: Write) -> None:
    truth = read_annotations(write(tiny)).ground_truth()
    assert [image["id"] for image in truth["images"]] == [0, 1]
    assert truth["categories"] == [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    assert [[annotation[key] for key in keys] for annotation in truth["annotations"]] == [
        [1, 0, 1, [2, 3, 4, 4], 16, 0],
        [2, 0, 0, [2, 1, 1, 5], 5, 1],
    ]
    square, crowd = (coco_mask.decode(annotation["segmentation"]) for annotation in truth["annotations"])
    assert square.sum() == 16
    assert square[3:7, 2:6].all()
    assert crowd.sum() == 5
    assert crowd[1:6, 2].all()
    json.dumps(truth)


@pytest.mark.parametrize(
    "ids, warning",
    [
        ((0, 6), "1 annotation with an id that is zero, absent or no number: all numbered anew (ids 0)"),
        ((5, 5), "1 annotation with an id that comes twice: all numbered anew (ids 5)"),
        ((None, "x"), "2 annotations with an id that is zero, absent or no number: all numbered anew (ids None, x)"),
    ],
)
def test_annotation_ids_do_not_matter(tiny: Dataset, write: Write, ids: tuple[Any, Any], warning: str) -> None:
    expected = read_annotations(write(tiny)).ground_truth()
    for annotation, id_ in zip(tiny["annotations"], ids, strict=True):
        annotation["id"] = id_
    with pytest.warns(UserWarning, match="all numbered anew") as caught:
        assert read_annotations(write(tiny)).ground_truth() == expected
    (said,) = caught
    assert str(said.message).endswith(f"annotations.json: {warning}")


def test_string_image_ids(tiny: Dataset, write: Write) -> None:
    expected = read_annotations(write(tiny)).ground_truth()
    for entry, key in [(entry, "id") for entry in tiny["images"]] + [
        (entry, "image_id") for entry in tiny["annotations"]
    ]:
        entry[key] = f"picture {entry[key]}"
    annotations = read_annotations(write(tiny))
    assert [record.id for record in annotations.records] == ["picture 10", "picture 7"]
    assert annotations.ground_truth() == expected


@pytest.mark.parametrize("form", ["polygon", "runs", "compressed"])
def test_forms_of_a_mask_agree(tiny: Dataset, write: Write, form: str) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3:7, 2:6] = 1
    compressed = coco_mask.encode(np.asfortranarray(mask))
    tiny["annotations"][0]["segmentation"] = {
        "polygon": [[2, 3, 6, 3, 6, 7, 2, 7]],
        "runs": {"size": [20, 30], "counts": [43, 4, 16, 4, 16, 4, 16, 4, 493]},
        "compressed": {"size": [20, 30], "counts": compressed["counts"].decode()},
    }[form]
    assert read_annotations(write(tiny)).records[0].objects.masks == [compressed["counts"]]


NO_POLYGON = "no polygon of three or more points, x1, y1, x2, y2, ... in one list"
LEFT_OUT = [
    ([[2, 3, 6, 7]], NO_POLYGON),
    ([[2, 3, 6, 7, 5]], NO_POLYGON),
    ([[2, 3, 6, 3, 6, 7, 2]], NO_POLYGON),  # pycocotools: without the last number
    ([[2, 3, 6, float("nan"), 5, 5]], "coordinates that are NaN"),
    ([[2, 3, 6, 1e9, 5, 5]], NO_POLYGON),
    ([[2, 3, 6, 2e5, 5, 5]], NO_POLYGON),
    ([[2, 3, 6, -2e5, 5, 5]], NO_POLYGON),
    ([[1, 1, 9e4, 1, 9e4, 9e4, 1, 9e4] * 41], NO_POLYGON),  # would take a gigabyte to walk along
    ([["2", 3, 6, 1, 5, 5]], NO_POLYGON),
    ([[[2, 3], [6, 3], [6, 7]]], NO_POLYGON),
    ([], "an empty segmentation"),
    ([[]], "an empty segmentation"),
    ({"size": [20, 30], "counts": []}, "an empty segmentation"),
    ({"size": [20, 30], "counts": ""}, "an empty segmentation"),
    ({"size": [20, 30]}, "an empty segmentation"),
    ([[2, 3, 2, 3, 2, 3]], "a mask without a pixel inside the picture"),
    ([[50, 3, 60, 3, 60, 9]], "a mask without a pixel inside the picture"),
    ({"size": [20, 30], "counts": [600]}, "a mask without a pixel inside the picture"),
    ({"size": [30, 20], "counts": [41, 5, 554]}, "run lengths of another size than the picture"),
    ({"size": [20, 30], "counts": [41, 5]}, "run lengths that do not decode"),  # pycocotools: memory as it was
    ({"size": [20, 30], "counts": [41, 5, 600]}, "run lengths that do not decode"),
    ({"size": [20, 30], "counts": [41, -5, 564]}, "run lengths that do not decode"),
    ({"size": [20, 30], "counts": "zzzz!!"}, "run lengths that do not decode"),
    ({"size": [20, 30], "counts": "\u00e9"}, "run lengths that do not decode"),
    ({"size": [20, 30], "counts": 7}, "run lengths that do not decode"),
    ("a mask", "a segmentation that is neither polygons nor run lengths"),
]


@pytest.mark.parametrize("segmentation, defect", LEFT_OUT)
def test_a_mask_that_cannot_be_read_is_left_out(tiny: Dataset, write: Write, segmentation: Any, defect: str) -> None:
    tiny["annotations"][0] |= {"segmentation": segmentation, "bbox": None}
    with pytest.warns(UserWarning, match=rf"annotations\.json: 1 annotation with {defect}: left out \(ids 5\)"):
        annotations = read_annotations(write(tiny))
    assert annotations.records[0].objects.masks == []
    assert len(annotations.ground_truth()["annotations"]) == 1


def test_short_polygons_leave_the_others(tiny: Dataset, write: Write) -> None:
    expected = read_annotations(write(tiny)).records[0].objects.masks
    tiny["annotations"][0]["segmentation"].append([1, 1, 2, 2])
    with pytest.warns(UserWarning, match="some polygons of fewer than three points: those left out"):
        assert read_annotations(write(tiny)).records[0].objects.masks == expected


@pytest.mark.parametrize(
    "box, kind",
    [
        (None, "no box"),
        ([2, 3, 0, 4], "a box without area, or not of four numbers"),
        ([2, 3, -4, 4], "a box without area, or not of four numbers"),
        ([2, 3, 4], "a box without area, or not of four numbers"),
        ([2, 3, 4, float("nan")], "a box without area, or not of four numbers"),
        ([float("nan"), 3, 4, 4], "a box without area, or not of four numbers"),
    ],
)
def test_a_bad_box_is_taken_from_the_mask(tiny: Dataset, write: Write, box: Any, kind: str) -> None:
    tiny["annotations"][0]["bbox"] = box
    with pytest.warns(UserWarning, match=rf"1 annotation with {kind}: taken from the mask \(ids 5\)"):
        assert read_annotations(write(tiny)).records[0].objects.boxes.tolist() == [[2, 3, 4, 4]]


def test_missing_iscrowd(tiny: Dataset, write: Write) -> None:
    expected = read_annotations(write(tiny)).ground_truth()
    del tiny["annotations"][0]["iscrowd"]
    assert read_annotations(write(tiny)).ground_truth() == expected


@pytest.mark.parametrize("area", [None, 0, -3, float("nan"), "16"])
def test_a_bad_area_is_taken_from_the_mask(tiny: Dataset, write: Write, area: Any) -> None:
    tiny["annotations"][0]["area"] = area
    assert read_annotations(write(tiny)).records[0].objects.areas.tolist() == [16]


def test_one_warning_for_a_kind(tiny: Dataset, write: Write) -> None:
    good = tiny["annotations"][0]
    tiny["annotations"] += [{**good, "id": id_, "segmentation": [], "bbox": None} for id_ in range(100, 107)]
    with pytest.warns(UserWarning, match="7 annotations") as caught:
        read_annotations(write(tiny))
    (warning,) = caught
    assert "7 annotations with an empty segmentation: left out (ids 100, 101, 102, 103, 104, ... (7 in all))" in str(
        warning.message
    )


def test_boxes_among_masks_are_said_to_be_background(tiny: Dataset, write: Write) -> None:
    good = tiny["annotations"][0]
    tiny["annotations"] += [{**good, "id": id_, "segmentation": empty} for id_, empty in ((100, []), (101, [[]]))]
    with pytest.warns(UserWarning, match="a box but no mask") as caught:
        annotations = read_annotations(write(tiny))
    assert [str(warning.message).partition(": ")[2] for warning in caught] == [
        "2 annotations with a box but no mask: left out, so that their objects count as background: add masks, or "
        "remove their pictures (ids 100, 101)"
    ]
    assert len(annotations.ground_truth()["annotations"]) == 2


def test_a_file_of_pictures_alone_has_no_annotations(tiny: Dataset, write: Write) -> None:
    tiny["annotations"] = []
    expected = read_annotations(write(tiny)).ground_truth()
    del tiny["annotations"]
    assert read_annotations(write(tiny)).ground_truth() == expected


def change(*path: Any, to: Any = None, drop: bool = False) -> Callable[[Dataset], None]:
    """Changes or drops one entry of a data set."""

    def apply(dataset: Any) -> None:
        for key in path[:-1]:
            dataset = dataset[key]
        if drop:
            del dataset[path[-1]]
        else:
            dataset[path[-1]] = to

    return apply


FATAL = [
    (change("images", drop=True), "has no list 'images', so it is not a COCO instance annotation file"),
    (change("annotations", to={}), "has no list 'annotations'"),
    (change("categories", to={}), "has no list 'categories'"),
    (change("images", to=[]), "'images' is empty"),
    (change("images", 0, to=3), "the entries of 'images' must be objects"),
    (change("categories", to=[]), "'categories' is empty"),
    (change("images", 1, "file_name", drop=True), "an image has no 'file_name': {'id': 7"),
    (change("images", 1, "height", drop=True), "an image has no 'height'"),
    (change("images", 1, "width", to="30"), "image 7 is 20 high and '30' wide; both must be positive integers"),
    (change("images", 1, "width", to=0), "image 7 is 20 high and 0 wide"),
    (change("images", 1, "file_name", to=7), "image 7 has the file_name 7; it must be a text"),
    (change("images", 1, "id", to=10), "image id 10 comes more than once"),
    (change("images", 1, "id", to="7"), "all integers or all strings, but some are int (10) and others str ('7')"),
    (change("images", 1, "id", to=None), "some are NoneType (None) and others int (10)"),
    (change("categories", 1, "id", to=9), "category id 9 comes more than once"),
    (
        change("categories", 1, "name", to="dog"),
        "category name dog comes more than once; make it unique (inspect",
    ),
    (
        change("categories", 1, "name", to="\ud800x"),
        "the name of category 3 holds half a character, which no file can: give it another name",
    ),
    (change("categories", 1, "id", to="3"), "a category needs an integer 'id' and a 'name', but one is {'id': '3'"),
    (
        change("annotations", 0, "image_id", to=11),
        "the image_id of annotations 5 is not in 'images': 11. The ids there are",
    ),
    (
        change("annotations", 0, "image_id", to="10"),
        "the image_id of annotations 5 is not in 'images': '10'. The ids there",
    ),
    (change("annotations", 0, "image_id", drop=True), "the image_id of annotations 5 is not in 'images': None"),
    (change("annotations", 0, "category_id", to=4), "the category_id of annotations 5 is not in 'categories': 4"),
    (change("annotations", 0, "category_id", to=[3]), "the category_id of annotations 5 is not in 'categories': [3]"),
    (
        change("annotations", 0, "segmentation", drop=True),
        "1 of 2 annotations have no 'segmentation' (ids 5). Mask R-CNN",
    ),
]


@pytest.mark.parametrize("spoil, message", FATAL, ids=[message[:50] for _, message in FATAL])
def test_an_unusable_file_is_refused(
    tiny: Dataset, write: Write, spoil: Callable[[Dataset], None], message: str
) -> None:
    spoil(tiny)
    with pytest.raises(ValueError) as error:
        read_annotations(write(tiny))
    assert message in str(error.value)
    assert "annotations.json" in str(error.value)
    assert str(error.value).endswith("\n" + coco_file.MEND) == (
        re.search("is empty|has no list|must be objects", message) is None
    )


def test_broken_json(write: Write, tiny: Dataset) -> None:
    split = write(tiny)
    split.annotations.write_bytes(split.annotations.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"annotations\.json is not JSON, or broken .*copy or download it again"):
        read_annotations(split)
    split.annotations.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(ValueError, match=r"annotations\.json is not JSON, or broken"):
        read_annotations(split)
    split.annotations.write_text("[]")
    with pytest.raises(ValueError, match="has no list 'images'"):
        read_annotations(split)


def test_missing_files(write: Write, tiny: Dataset) -> None:
    split = write(tiny)
    with pytest.raises(FileNotFoundError, match=r"no annotation file .*other\.json: check data\.root"):
        read_annotations(Split(split.images, split.images / "other.json"))
    (split.images / "b.png").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"1 of the 2 pictures of .*annotations\.json are not in .*: b\.png\. Check.*\npython inspect_data",
    ):
        read_annotations(split)
    with pytest.raises(FileNotFoundError, match=r"2 of the 2 pictures"):
        read_annotations(Split(split.images / "nowhere", split.annotations))


def test_a_picture_is_a_file_or_a_link_to_one(write: Write, tiny: Dataset) -> None:
    """A device would be read without end, and a pipe waited for."""
    split = write(tiny)
    (split.images / "b.png").rename(split.images / "c.png")
    (split.images / "b.png").symlink_to("c.png")
    (split.images / "loop").symlink_to("loop")
    assert len(read_annotations(split).records) == 2
    for target in ("/dev/zero", "loop", "."):
        (split.images / "b.png").unlink()
        (split.images / "b.png").symlink_to(target)
        with pytest.raises(FileNotFoundError, match=r"1 of the 2 pictures of .* are not in .*: b\.png\."):
            read_annotations(split)
    tiny["images"][1]["file_name"] = "/dev/zero"
    with pytest.raises(FileNotFoundError, match=r"1 of the 2 pictures of .* are not in .*: /dev/zero\."):
        read_annotations(write(tiny))


def test_pictures_in_folders(write: Write, tiny: Dataset) -> None:
    tiny["images"][1]["file_name"] = "deep/er/b.png"
    split = write(tiny)
    (split.images / "deep" / "er").mkdir(parents=True)
    cv2.imwrite(str(split.images / "deep" / "er" / "b.png"), np.zeros((20, 30), np.uint8))
    annotations = read_annotations(split)
    assert annotations.records[1].path == split.images / "deep" / "er" / "b.png"
    # What reports, slices and the evaluator call it: folders often hold files of one name.
    assert [image["file_name"] for image in annotations.ground_truth()["images"]] == ["a.png", "deep/er/b.png"]


def test_paths_of_a_source(tmp_path: Path) -> None:
    source = CocoSource(train_images="t", train_annotations="t.json", val_images="/abs/v", val_annotations="v.json")
    (splits,) = source.splits(tmp_path)
    train, val = splits.train, splits.val
    assert train == (tmp_path / "t", tmp_path / "t.json")
    assert val == (Path("/abs/v"), tmp_path / "v.json")
    with pytest.raises(FileNotFoundError, match=r"no directory .*/t: set data\.root or data\.source\.train_images"):
        source.prepare(tmp_path)
    (tmp_path / "t").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"no file .*/t\.json: set data\.root or data\.source\.train_annotations"
    ):
        source.prepare(tmp_path)


def test_all_that_makes_a_file_unusable_is_said_at_once(tiny: Dataset, write: Write) -> None:
    change("annotations", 0, "image_id", to=11)(tiny)
    change("annotations", 1, "category_id", to=4)(tiny)
    with pytest.raises(ValueError) as error:
        read_annotations(write(tiny))
    first, *others, remedy = str(error.value).splitlines()
    assert first.endswith("annotations.json: ") and remedy == coco_file.MEND
    assert [line.split(".")[0] for line in others] == [
        "- the image_id of annotations 5 is not in 'images': 11",
        "- the category_id of annotations 6 is not in 'categories': 4",
    ]


def test_the_second_reading_comes_from_the_cache(tiny: Dataset, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny["annotations"][0]["bbox"] = None
    split = write(tiny)
    with pytest.warns(UserWarning, match="no box: taken from the mask"):
        expected = read_annotations(split).ground_truth()
    monkeypatch.setattr(reader, "_parse", None)  # the file is not parsed again
    with pytest.warns(UserWarning, match="no box: taken from the mask"):  # but what was mended is said again
        assert read_annotations(split).ground_truth() == expected
    split.annotations.write_text(split.annotations.read_text() + " ")
    with pytest.raises(TypeError):
        read_annotations(split)  # another content


def test_the_size_of_pieces_does_not_matter(tiny: Dataset, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    good, runs = tiny["annotations"]
    tiny["annotations"] += [{**good, "id": 7, "segmentation": []}, {**runs, "id": 8}, {**good, "id": 5}]
    found: list[Any] = []
    for size in (1, 2, 1000):
        monkeypatch.setattr(reader, "PIECE", size)
        monkeypatch.setattr(coco_file, "PIECE", size)
        monkeypatch.setattr(reader, "VERSION", -size)  # not from the cache
        with pytest.warns(UserWarning, match="left out|all numbered anew") as caught:
            found.append((read_annotations(write(tiny)).ground_truth(), [str(warning.message) for warning in caught]))
    assert found[0] == found[1] == found[2]
    assert [message.split(": ", 1)[1] for message in found[0][1]] == [
        "1 annotation with a box but no mask: left out, so that their objects count as background: add masks, or "
        "remove their pictures (ids 7)",
        "1 annotation with an id that comes twice: all numbered anew (ids 5)",
    ]


def test_only_an_unusual_file_is_read_as_a_whole(tiny: Dataset, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_annotations(write(tiny)).ground_truth()
    tiny["info"] = {"of": [1.5, "text"]}
    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_json", None)
        assert read_annotations(write(tiny)).ground_truth() == expected
    for odd in (float("nan"), "\ud800"):  # what the quick reader refuses, before or while it reads the annotations
        tiny["annotations"][1]["odd"] = odd
        assert read_annotations(write(tiny)).ground_truth() == expected


def test_records_reach_a_worker_as_a_path(tiny: Dataset, write: Write) -> None:
    records = read_annotations(write(tiny)).records
    sent = pickle.dumps(records)
    assert len(sent) < 1000 and b"a.png" not in sent
    for got, expected in zip(pickle.loads(sent), records, strict=True):
        np.testing.assert_equal(got, expected)


def test_a_cache_that_cannot_be_written_is_named(
    tiny: Dataset, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot be kept in .*file/maskrcnn/annotations .*set XDG_CACHE_HOME elsewhere"):
        read_annotations(write(tiny))


def test_numbers_too_large_are_taken_from_the_mask(tiny: Dataset, write: Write) -> None:
    tiny["annotations"][0]["bbox"] = [2, 3, 10**400, 4]
    tiny["annotations"][0]["area"] = 10**400
    with pytest.warns(UserWarning, match="a box without area, or not of four numbers: taken from the mask"):
        objects = read_annotations(write(tiny)).records[0].objects
    assert objects.boxes.tolist() == [[2, 3, 4, 4]]
    assert objects.areas.tolist() == [16]


def test_entries_read_together_are_what_they_are_alone() -> None:
    pictures = [Picture(1, "a.png", 50, 60), Picture(2, "b.png", 40, 30)]
    square = [[1, 1, 20, 1, 20, 20.5, 1, 20]]
    entry = {"id": 1, "image_id": 1, "category_id": 5, "segmentation": square, "bbox": [1, 1, 19, 19.5], "area": 370}
    good = [
        entry,
        {**entry, "id": 2, "image_id": 2, "iscrowd": 1, "area": 0.5},
        {**entry, "id": 3, "bbox": [0, 0, 1, 1]},
    ]
    odd = [
        {"bbox": None}, {"bbox": [1, 1, 0, 5]}, {"bbox": [1, 1, 5]}, {"bbox": ["1", 1, 5, 5]}, {"bbox": [1e6, 1, 5, 5]},
        {"area": None}, {"area": 0}, {"area": "7"}, {"area": 1e11}, {"iscrowd": 2}, {"iscrowd": "1"}, {"iscrowd": [1]},
        {"segmentation": [[0, 0, 1]]},
    ]  # fmt: skip

    nameless = {key: value for key, value in entry.items() if key != "id"}  # beside it, each is looked at by itself

    def read(entries: list[dict[str, Any]]) -> tuple[Annotations, list[Mended]]:
        reader = EntryReader(pictures, {1: 0, 2: 1}, {5: 0})
        return reader.read(entries), [mended for mended in reader.mended() if "absent" not in mended.what]

    for change in ({}, *odd):
        entries = [*good, {**entry, "id": 9, **change}]
        (together, found), (singly, found_singly) = read(entries), read([*entries, nameless])
        assert found == found_singly
        assert len(singly.masks) == len(together.masks) + 1 == 5 - ("segmentation" in change)
        for column, expected in zip(together, singly, strict=True):
            assert np.asarray(column).dtype == np.asarray(expected).dtype
            assert np.asarray(column).tolist() == np.asarray(expected)[:-1].tolist()
