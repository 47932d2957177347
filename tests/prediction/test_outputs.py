"""What is written of predictions."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.data.convert.labelme import read_labelme
from maskrcnn.data.convert.yolo import read_yolo
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.ops.paste import Crop
from maskrcnn.prediction.outputs import PLACES, Kind, make_output
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.prediction.sources import Clip, Frame
from maskrcnn.prediction.video import VideoReader
from maskrcnn.visualize.instances import Instances, draw_instances

SIZE = (60, 80)
CLASSES = ["cell", "dirt"]


def predicted(crops: list[Crop], size: tuple[int, int] = SIZE) -> Prediction:
    """Masks as a prediction: classes in turns, scores from 0.9 down."""
    results = [
        Result(
            image_id=7,
            category_id=i % 2,
            bbox=[float(c.left), float(c.top), float(c.values.shape[1]), float(c.values.shape[0])],
            score=0.9 - i / 1000,
            segmentation=rle,
        )
        for i, (c, rle) in enumerate(zip(crops, encode_crops(crops, size)))
    ]
    return Prediction(size, CLASSES, results)


def frame(pixels: np.ndarray, name: str, clip: Clip | None = None, number: int = 0, folder: Path = Path()) -> Frame:
    return Frame(folder / f"{name}.jpg", pixels, Path(name), f"{name}.jpg", clip, number)


def write(kind: Kind, folder: Path, frames: list[Frame], found: Prediction) -> None:
    output = make_output(kind, folder, CLASSES, [11, 12], lambda name, picture: picture // 2 + len(name))
    for one in frames:
        output.write(one, found)
    output.close()


def ring() -> np.ndarray:
    """A mask of 20 x 30 with a hole, and a part of its own in it."""
    mask = np.ones((20, 30), bool)
    mask[5:15, 5:25] = False
    mask[8:11, 10:13] = True
    return mask


BLANK = np.zeros((*SIZE, 3), np.uint8)
THREE = [Crop(ring(), 10, 5), Crop(np.ones((30, 30), bool), 20, 30), Crop(np.zeros((0, 0), bool), 0, 0)]


def test_a_prediction_is_its_results() -> None:
    found = predicted(THREE)
    assert found.boxes.tolist() == [[5, 10, 35, 30], [30, 20, 60, 50], [0, 0, 0, 0]]
    assert found.names == ["cell", "dirt", "cell"] and found.scores.tolist() == [0.9, 0.899, 0.898]
    whole = np.zeros((3, *SIZE), bool)
    whole[0, 10:30, 5:35], whole[1, 20:50, 30:60] = ring(), True
    np.testing.assert_array_equal(found.masks, whole)
    for (values, top, left), mask in zip(found.crops(), whole):
        assert values.sum() == mask.sum() == mask[top : top + values.shape[0], left : left + values.shape[1]].sum()
    assert predicted([]).masks.shape == (0, *SIZE)
    assert repr(found) == "Prediction(3 instances in 60 x 80 pixels: cell 0.90, dirt 0.90, cell 0.90)"
    assert repr(predicted([])) == "Prediction(0 instances in 60 x 80 pixels)"
    assert repr(predicted(THREE * 2)).endswith("cell 0.90, dirt 0.90, cell 0.90, ...)")


def test_sheets_of_stages_are_those_of_each_picture_and_frame(tmp_path: Path) -> None:
    light, dark = np.full((4, 5, 3), 200, np.uint8), np.full((4, 5, 3), 100, np.uint8)
    write(
        "stages", tmp_path, [frame(light, "sub/ab"), frame(dark, "c/000001", Clip(Path("c"), 5, 2), 1)], predicted([])
    )
    assert (cv2.imread(str(tmp_path / "stages" / "sub" / "ab.png")) == 102).all()
    assert (cv2.imread(str(tmp_path / "stages" / "c" / "000001.png")) == 56).all()


def test_label_maps_show_the_better_one_where_two_overlap(tmp_path: Path) -> None:
    write("masks", tmp_path, [frame(BLANK, "sub/a")], predicted(THREE))
    labels = cv2.imread(str(tmp_path / "masks" / "sub" / "a.png"), cv2.IMREAD_UNCHANGED)
    expected = np.zeros(SIZE, np.uint8)
    expected[20:50, 30:60] = 2
    expected[10:30, 5:35][ring()] = 1
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(("count", "depth"), [(255, np.uint8), (256, np.uint16)])
def test_label_maps_have_16_bits_where_8_are_too_few(count: int, depth: type, tmp_path: Path) -> None:
    crops = [Crop(np.ones((1, 1), bool), i // 80, i % 80) for i in range(count)]
    write("masks", tmp_path, [frame(BLANK, "a")], predicted(crops))
    labels = cv2.imread(str(tmp_path / "masks" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert labels.dtype == depth
    np.testing.assert_array_equal(labels.ravel()[: count + 1], [*range(1, count + 1), 0])


def test_more_instances_than_16_bits_are_refused(tmp_path: Path) -> None:
    one = predicted(THREE).results[:1]
    with pytest.raises(ValueError, match="65536 instances are more than a label map of 16 bits holds"):
        write("masks", tmp_path, [frame(BLANK, "a")], Prediction(SIZE, CLASSES, one * 65536))


def test_yolo_labels_are_read_again_as_the_same_masks(tmp_path: Path) -> None:
    found = predicted(THREE)
    write("yolo", tmp_path, [frame(BLANK, "a"), frame(BLANK, "b")], found)
    (tmp_path / "images").mkdir()
    for name in "ab":
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), BLANK)
    annotated = read_yolo(tmp_path, split=None)
    assert annotated.classes == tuple(CLASSES) and len(annotated.pictures) == 2
    for picture in annotated.pictures:  # the empty mask is left out
        assert [(o.label, o.mask.decode()) for o in picture.objects] == [
            (r["category_id"], r["segmentation"]["counts"]) for r in found.results[:2]
        ]


def test_labelme_files_are_read_again_as_the_same_masks(tmp_path: Path) -> None:
    """Of pictures in another folder, and below one that is a link."""
    found = predicted(THREE)
    photos, real, out = tmp_path / "photos", tmp_path / "disk" / "x", tmp_path / "out"
    real.mkdir(parents=True)
    out.symlink_to(real)
    for name in ("a", "sub/a"):
        (photos / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(photos / f"{name}.jpg"), BLANK)
    write("labelme", out, [frame(BLANK, name, folder=photos) for name in ("a", "sub/a")], found)
    annotated = read_labelme(out / "labelme", classes=CLASSES)
    assert [picture.path.resolve() for picture in annotated.pictures] == [photos / "a.jpg", photos / "sub" / "a.jpg"]
    for picture in annotated.pictures:  # the empty mask is left out
        assert [(o.label, o.mask.decode()) for o in picture.objects] == [
            (r["category_id"], r["segmentation"]["counts"]) for r in found.results[:2]
        ]


def test_a_labelme_file_holds_what_labelme_writes(tmp_path: Path) -> None:
    """The ring is cut open at its upper left corner, its island is a shape of its own; one group holds both."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    write("labelme", out, [frame(BLANK, "sub/a", folder=photos)], predicted(THREE))
    written = json.loads((out / "labelme" / "sub" / "a.json").read_text())
    shapes = written.pop("shapes")
    assert written == {
        "version": "5.5.0", "flags": {}, "imagePath": "../../../photos/sub/a.jpg", "imageData": None,
        "imageHeight": 60, "imageWidth": 80,
    }  # fmt: skip
    points = [shape.pop("points") for shape in shapes]
    common = {"shape_type": "polygon", "flags": {}}
    assert shapes == [{"label": "cell", "group_id": 1} | common] * 2 + [{"label": "dirt", "group_id": None} | common]
    corners = [[[5, 10], [5, 30], [35, 30], [35, 10]], [[15, 18], [15, 21], [18, 21], [18, 18]],
               [[30, 20], [30, 50], [60, 50], [60, 20]]]  # fmt: skip
    assert points[1:] == corners[1:]
    hole = [[10, 15], [30, 15], [30, 25], [10, 25], [10, 15]]
    assert points[0] == [[5, 10], *hole, *corners[0]]


def test_frames_lie_beside_their_labelme_files(tmp_path: Path) -> None:
    clip = Clip(Path("c"), 5, 2)
    frames = [frame(np.full((*SIZE, 3), 7 * number, np.uint8), f"c.mp4/00000{number}", clip) for number in (0, 1)]
    write("labelme", tmp_path, frames, predicted(THREE))
    pictures = read_labelme(tmp_path / "labelme", classes=CLASSES).pictures
    assert [(picture.path.name, len(picture.objects)) for picture in pictures] == [("000000.png", 2), ("000001.png", 2)]
    assert [int(cv2.imread(str(picture.path)).max()) for picture in pictures] == [0, 7]


def test_results_are_whole_json_with_names_and_the_files_category_ids(tmp_path: Path) -> None:
    found = predicted(THREE)
    write("coco", tmp_path, [frame(BLANK, "a"), frame(BLANK, "b")], found)
    results = json.loads((tmp_path / "detections.json").read_text())
    assert [(r["image_id"], r["category_id"]) for r in results] == [
        (f"{name}.jpg", i) for name in "ab" for i in (11, 12, 11)
    ]
    assert results[1]["segmentation"] == found.results[1]["segmentation"] and results[1]["bbox"] == [30, 20, 30, 30]
    write("coco", tmp_path, [], found)
    assert json.loads((tmp_path / "detections.json").read_text()) == []


def test_annotated_pictures_are_drawings(tmp_path: Path) -> None:
    found = predicted(THREE)
    write("pictures", tmp_path, [frame(BLANK, "a.v2")], found)
    drawn = cv2.imread(str(tmp_path / "pictures" / "a.v2.png"))[..., ::-1]
    instances = Instances(found.boxes, found.labels, found.scores, list(found.masks))
    np.testing.assert_array_equal(drawn, draw_instances(BLANK, instances, CLASSES))


def test_frames_become_a_video_each_and_pictures_stay_pictures(tmp_path: Path) -> None:
    """The second clip is brighter; what is found stays red, all else turns grey."""
    found = predicted([Crop(np.ones((30, 40), bool), 10, 20)])
    a, b = (Clip(Path(name), 12.0, 3) for name in ("a", "sub/b"))
    red = [np.full((*SIZE, 3), (bright, 40, 40), np.uint8) for bright in (120, 220)]
    frames = [frame(red[0], "a.avi/0", a)] * 3 + [frame(red[1], "sub/b.avi/0", b)] * 2 + [frame(red[0], "c")]
    write("splash", tmp_path, frames, found)
    assert sorted(p.relative_to(tmp_path / "splash").as_posix() for p in tmp_path.rglob("*.*")) == [
        "a.mp4", "c.png", "sub/b.mp4",
    ]  # fmt: skip
    for name, count, bright in (("a", 3, 120), ("sub/b", 2, 220)):
        with VideoReader(tmp_path / "splash" / f"{name}.mp4") as video:
            read = np.stack(list(video))
            assert video.rate == 12.0 and read.shape == (count, *SIZE, 3)
        np.testing.assert_allclose(read[:, 20:30, 30:50].mean(axis=(0, 1, 2)), (bright, 40, 40), atol=6)
        grey = round(0.299 * bright + 0.701 * 40)
        np.testing.assert_allclose(read[:, 50:, :10].mean(axis=(0, 1, 2)), (grey,) * 3, atol=6)


@pytest.mark.parametrize("kind", PLACES)
def test_no_kind_writes_through_a_link(kind: Kind, tmp_path: Path) -> None:
    mine, out, linked = tmp_path / "mine", tmp_path / "out", tmp_path / "linked"
    mine.write_bytes(b"mine")
    for folder in (out, linked):
        folder.mkdir()
    write(kind, out, [frame(BLANK, "a")], predicted(THREE))
    files = [file.relative_to(out) for file in out.rglob("*") if file.is_file()]
    for file in files:
        (linked / file).parent.mkdir(exist_ok=True)
        (linked / file).symlink_to(mine)
    write(kind, linked, [frame(BLANK, "a")], predicted(THREE))
    assert mine.read_bytes() == b"mine" and files
    assert all((linked / file).read_bytes() == (out / file).read_bytes() != b"" for file in files)
