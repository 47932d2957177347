import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.random import default_rng
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.draw_shapes import CLASSES, Drawing, draw_shapes
from maskrcnn.data.shapes import ShapesSource


@pytest.fixture(scope="module")
def scenes() -> list[Drawing]:
    return [draw_shapes(default_rng([5, i])) for i in range(300)]


def test_shares_of_pictures(scenes: list[Drawing]) -> None:
    empty = np.mean([not scene.labels for scene in scenes])
    occluded = np.mean([any(hidden >= 0.15 for hidden in scene.occlusions) for scene in scenes])
    crowds = sum(scene.crowd is not None for scene in scenes)
    assert abs(empty - 0.10) < 0.05  # three standard deviations of 300 draws
    assert occluded >= 0.30
    assert 3 <= crowds <= 30
    assert max(len(scene.labels) for scene in scenes) == 8
    assert {label for scene in scenes for label in scene.labels} == set(range(len(CLASSES)))


def test_objects_are_large_enough_and_apart(scenes: list[Drawing]) -> None:
    extents = []
    for scene in scenes:
        regions = [*scene.masks, *([scene.crowd[1]] if scene.crowd else [])]
        assert sum(np.count_nonzero(mask) for mask in regions) == np.count_nonzero(np.any(regions or [[0]], axis=0))
        for mask, hidden in zip(scene.masks, scene.occlusions, strict=True):
            assert np.count_nonzero(mask) >= 30
            assert 0 <= hidden <= 0.7
            if hidden == 0:
                extents.append(max(cv2.boundingRect(mask.view(np.uint8))[2:]))
    assert 12 <= min(extents) <= 16
    assert 100 <= max(extents) <= 120


def test_written_masks_are_the_drawn_ones(shapes_root: Path) -> None:
    dataset = json.loads((shapes_root / "train.json").read_text())
    annotations = iter(dataset["annotations"])
    for i in range(len(dataset["images"])):
        scene = draw_shapes(default_rng([5, i]))
        picture = cv2.imread(str(shapes_root / "train" / f"{i:06d}.png"))[..., ::-1]
        np.testing.assert_array_equal(picture, scene.image)
        drawn = [*zip(scene.labels, scene.masks, strict=True), *([scene.crowd] if scene.crowd else [])]
        for label, mask in drawn:
            annotation = next(annotations)
            rles = coco_mask.frPyObjects(annotation["segmentation"], 192, 256)
            decoded = coco_mask.decode(coco_mask.merge(rles) if isinstance(rles, list) else rles)
            np.testing.assert_array_equal(decoded, mask)  # not only close: the outlines are exact
            assert (annotation["image_id"], annotation["category_id"]) == (i + 1, label + 1)
            assert annotation["area"] == mask.sum()
            assert annotation["bbox"] == coco_mask.toBbox(coco_mask.encode(np.asfortranarray(decoded))).tolist()
    assert next(annotations, None) is None


def test_same_seed_same_bytes(shapes_root: Path, tmp_path: Path) -> None:
    ShapesSource(train_pictures=40, val_pictures=2, train_seed=5, val_seed=0).prepare(tmp_path / "again")
    for name in ("train.json", "train/000000.png", "train/000039.png"):
        assert (tmp_path / "again" / name).read_bytes() == (shapes_root / name).read_bytes()
    for name in ("val.json", "val/000000.png"):
        assert (tmp_path / "again" / name).read_bytes() != (shapes_root / name).read_bytes()


def test_written_once(shapes_root: Path, shapes_source: ShapesSource) -> None:
    before = (shapes_root / "train.json").stat().st_mtime_ns
    shapes_source.prepare(shapes_root)
    assert (shapes_root / "train.json").stat().st_mtime_ns == before


def test_other_parameters_are_drawn_beside(shapes_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "shapes"
    first, second = (ShapesSource(train_pictures=number, val_pictures=1, train_seed=5, val_seed=4) for number in (2, 3))
    for source in (first, second, first, second):
        source.prepare(root)
    drawn = {source: source.splits(root)[0].train for source in (first, second)}
    assert drawn[first].annotations == root / "train.json"
    assert drawn[second].annotations == tmp_path / "shapes_3_1_5_4" / "train.json"
    assert [len(list(drawn[source].images.iterdir())) for source in (first, second)] == [2, 3]
    assert (drawn[second].images / "000001.png").read_bytes() == (shapes_root / "train" / "000001.png").read_bytes()


def test_another_version_is_refused(tmp_path: Path) -> None:
    source = ShapesSource(train_pictures=1, val_pictures=1, train_seed=5, val_seed=4)
    for folder in (tmp_path / "shapes", tmp_path / "shapes_1_1_5_4"):
        folder.mkdir()
        (folder / "shapes.json").write_text(json.dumps({**source.parameters, "version": 0}))
    with pytest.raises(
        ValueError, match=r"shapes_1_1_5_4 holds shapes drawn with .*'version': 0.*delete that directory"
    ):
        source.prepare(tmp_path / "shapes")


def test_foreign_directory_is_refused(tmp_path: Path, shapes_source: ShapesSource) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(
        ValueError, match=r"holds something else than drawn shapes: set data\.root to another directory"
    ):
        shapes_source.prepare(tmp_path)


def test_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ShapesSource(train_pictures=3, val_pictures=1, train_seed=0, val_seed=1)
    monkeypatch.setattr("cv2.imwrite", lambda *_: False)  # a full disk
    with pytest.raises(OSError, match=r"could not write .*000000\.png"):
        source.prepare(tmp_path / "shapes")
    assert [path.name for path in tmp_path.iterdir()] == [".shapes.lock"]  # kept: to remove it would let two draw
    monkeypatch.undo()
    source.prepare(tmp_path / "shapes")
    assert sorted(path.name for path in (tmp_path / "shapes").iterdir()) == [
        "shapes.json",
        "train",
        "train.json",
        "val",
        "val.json",
    ]


def test_same_seed_for_both_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="train_seed is 1, val_seed 1; give two that differ"):
        ShapesSource(train_pictures=1, val_pictures=1, train_seed=1, val_seed=1)
    with pytest.raises(ValueError, match="val_pictures 0; give 1 or more"):
        ShapesSource(train_pictures=1, val_pictures=0, train_seed=1, val_seed=2)


def test_ground_truth_scores_one(shapes_root: Path, shapes_source: ShapesSource) -> None:
    truth = read_annotations(shapes_source.splits(shapes_root)[0].train).ground_truth()
    assert any(annotation["iscrowd"] for annotation in truth["annotations"])
    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    results = [
        {key: annotation[key] for key in ("image_id", "category_id", "bbox", "segmentation")} | {"score": 0.9}
        for annotation in truth["annotations"]
        if not annotation["iscrowd"]
    ]
    for iou_type in ("bbox", "segm"):
        evaluation = COCOeval(coco, coco.loadRes(json.loads(json.dumps(results))), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == 1.0
