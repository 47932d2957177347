"""What predict.py reads, and what it leaves when something is wrong with it."""

import json
import re
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

import maskrcnn
from maskrcnn.commands import thresholds_file
from maskrcnn.commands.predict import predict
from maskrcnn.commands.predictor import Predictor
from maskrcnn.engine.detector import detect
from maskrcnn.engine.restore import restore
from maskrcnn.engine.tta import Tta
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.prediction.seams import merge_tiles
from maskrcnn.prediction.sources import find_files, name_outputs
from maskrcnn.prediction.thresholds import Thresholds
from maskrcnn.prediction.tiles import Tiling
from maskrcnn.prediction.video import VideoReader, VideoWriter
from maskrcnn.structures import Detections
from maskrcnn.visualize.sheet import save_png

WHOLE = Tiling(size=None, overlap=0)


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


@pytest.mark.parametrize(
    ("name", "below"), [("", "'source=\"**\"'"), ("it's", """'source="it'"'"'s/**"'""")], ids=["here", "apostrophe"]
)
def test_a_folder_without_pictures_is_answered_with_its_own_glob(
    name: str, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it's").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=re.escape(f"no picture in this folder (for those of its sub-folders, give {below})")
    ):
        find_files(name)


@pytest.mark.parametrize("source", ["", "/**"])
def test_annotated_pictures_never_go_where_the_pictures_lie(source: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"holds pictures of source=.*; give another folder, so that none is lost"):
        run_predict(Path("none"), f"{tmp_path}{source}", tmp_path)
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "original.png").write_bytes(b"mine")
    (tmp_path / "s" / "pictures").mkdir(parents=True)
    (tmp_path / "s" / "pictures" / "a.png").symlink_to(tmp_path / "original.png")
    with pytest.raises(ValueError, match=r"holds pictures of source=.*; give another folder, so that none is lost"):
        run_predict(Path("none"), tmp_path / "s" / "pictures", tmp_path / "s")
    save_png(tmp_path / "s" / "pictures" / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert (tmp_path / "original.png").read_bytes() == b"mine"
    assert [path.name for path in (tmp_path / "s" / "pictures").iterdir()] == ["a.png"]


def run_predict(checkpoint: Path, source: Path | str, output: Path, **changed: Any) -> list[dict[str, Any]]:
    """Predicts as the command does, and returns detections.json."""
    arguments: dict[str, Any] = dict(
        outputs=["coco"], score_threshold=0.0, tile=WHOLE, batch_size=1, override=[], device="cpu", plugins=[],
        stages=False, tta=Tta(flip=False, scales=[1.0]),
    )  # fmt: skip
    predict(checkpoint=str(checkpoint), source=str(source), output=str(output), **(arguments | changed))
    results: list[dict[str, Any]] = json.loads((output / "detections.json").read_text())
    return results


@pytest.fixture
def checkpoint(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


@pytest.fixture
def pictures(shapes_root: Path, run: Path, tmp_path: Path) -> Path:
    """A folder of four pictures of shapes, a.png to d.png."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, file in zip("abcd", sorted((shapes_root / "val").glob("*.png"))):
        (folder / f"{name}.png").write_bytes(file.read_bytes())
    return folder


def summary(results: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The scores of each picture."""
    scores: dict[str, list[float]] = {}
    for result in results:
        scores.setdefault(result["image_id"], []).append(result["score"])
    return scores


def test_batches_give_what_pictures_alone_give(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(pictures / "b2.png"), np.zeros((50, 190, 3), np.uint8))  # of another canvas, between the others
    alone = summary(run_predict(checkpoint, pictures, tmp_path / "alone"))
    batched = summary(run_predict(checkpoint, pictures, tmp_path / "batched", batch_size=3))
    assert alone.keys() == batched.keys() >= {"a.png", "b.png", "c.png", "d.png"}
    for name, scores in alone.items():
        np.testing.assert_allclose(batched[name], scores, atol=1e-5)


def test_a_picture_no_larger_than_a_tile_gives_the_same_bits(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    run_predict(checkpoint, pictures, tmp_path / "whole")
    run_predict(checkpoint, pictures, tmp_path / "tiled", tile=Tiling(size=256, overlap=64), batch_size=1)
    whole, tiled = ((tmp_path / name / "detections.json").read_bytes() for name in ("whole", "tiled"))
    assert whole == tiled and len(whole) > 1000


def test_a_larger_picture_is_the_merger_of_its_tiles(checkpoint: Path, pictures: Path) -> None:
    model = maskrcnn.load(checkpoint, batch_size=2)
    picture = model.read(pictures / "a.png", None)
    tiling = maskrcnn.Tiling(size=128, overlap=32)
    windows = tiling.windows(192, 256)
    parts = [picture[w.top : w.bottom, w.left : w.right] for w in windows]
    least = Thresholds(0.1, model.classes)
    found = [
        least.keep(results) for start in range(0, len(parts), 2) for results in model.find(parts[start : start + 2])
    ]
    expected = merge_tiles(found, np.array(windows), (192, 256), 4)
    assert len(windows) == 6 and 0 < len(expected) < sum(map(len, found))
    assert model.predict(picture, 0.1, tiling).results == expected


def test_a_video_becomes_an_annotated_video(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "in.avi.mp4", 10.0)
    frames = [cv2.imread(str(path))[..., ::-1] for path in sorted(pictures.glob("*.png"))]
    for frame in frames:
        video.write(np.ascontiguousarray(frame))
    video.close()
    kinds = ["pictures", "masks", "coco"]
    results = run_predict(checkpoint, tmp_path / "in.avi.mp4", tmp_path / "out", outputs=kinds, batch_size=3)
    assert set(summary(results)) <= {f"in.avi.mp4/{i:06d}" for i in range(4)} and results
    with VideoReader(tmp_path / "out" / "pictures" / "in.avi.mp4") as written:
        assert (written.frames, written.rate) == (4, 10.0)
        assert next(iter(written)).shape == (576, 768, 3)  # enlarged as pictures are
    assert len(list((tmp_path / "out" / "masks" / "in.avi.mp4").iterdir())) == 4


def test_pictures_of_any_kind_and_size_are_read_as_in_training(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape, depth in [
        ("grey", (60, 80), np.uint8), ("rgba", (60, 80, 4), np.uint8), ("deep", (60, 80), np.uint16),
        ("pixel", (1, 1, 3), np.uint8), ("line", (1, 300, 3), np.uint8),
    ]:  # fmt: skip
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(0, np.iinfo(depth).max, shape, depth))
    kinds = ["pictures", "splash", "masks", "yolo", "labelme", "coco"]
    run_predict(checkpoint, folder, tmp_path / "out", outputs=kinds, tile=Tiling(size=64, overlap=16), batch_size=4)
    assert "instances in 5 pictures; wrote" in capsys.readouterr().out
    for kind in ("pictures", "splash", "masks", "labels", "labelme"):
        assert {p.stem for p in (tmp_path / "out" / kind).iterdir()} == {"grey", "rgba", "deep", "pixel", "line"}
    assert cv2.imread(str(tmp_path / "out" / "masks" / "pixel.png"), cv2.IMREAD_UNCHANGED).shape == (1, 1)


def test_what_an_earlier_run_left_is_told(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run_predict(checkpoint, pictures / "a.png", out, outputs=["masks", "yolo", "coco"])
    (out / "mine.txt").touch()
    run_predict(checkpoint, pictures / "a.png", out, outputs=["masks", "yolo", "coco"])
    assert "NOTE" not in capsys.readouterr().out
    run_predict(checkpoint, pictures / "b.png", out, outputs=["masks", "coco"])
    said = f"NOTE: 3 files of an earlier run still lie in {out} (classes.txt, labels, masks) and do not belong to what"
    assert said in capsys.readouterr().out
    assert {path.name for path in (out / "masks").iterdir()} == {"a.png", "b.png"}


def test_scores_that_evaluation_found_are_offered_where_nothing_scored_enough(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes(checkpoint.read_bytes())
    run_predict(alone, pictures / "a.png", tmp_path / "out", score_threshold=1.0)
    assert "nothing scored enough; try a lower score_threshold\n" in capsys.readouterr().out
    thresholds_file.path_of(alone).touch()
    run_predict(alone, pictures / "a.png", tmp_path / "out", score_threshold=1.0)
    assert "try a lower score_threshold, or score_threshold=best, which evaluate.py found\n" in capsys.readouterr().out


def test_ctrl_c_leaves_what_was_done(
    checkpoint: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = summary(run_predict(checkpoint, pictures, tmp_path / "whole"))
    original, calls = Predictor.predict_batch, []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    monkeypatch.setattr(Predictor, "predict_batch", interrupted)
    with pytest.raises(SystemExit) as ended:
        run_predict(checkpoint, pictures, tmp_path / "out", outputs=["masks", "coco"])
    assert ended.value.code == 130
    results = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert summary(results) == {name: whole[name] for name in ("a.png", "b.png")}
    assert {path.name for path in (tmp_path / "out" / "masks").iterdir()} == {"a.png", "b.png"}
    assert f"stopped; {len(results)} instances in 2 pictures; what was done is in" in capsys.readouterr().out


def test_a_picture_whose_scores_are_not_finite_is_skipped(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(pictures / "b.png"), np.full((192, 256, 3), 255, np.uint8))

    def broken(model: MaskRCNN, images: Tensor, image_sizes: Tensor) -> Detections:
        found = detect(model, images, image_sizes)
        white = images.float().mean(dim=(1, 2, 3)) == 255
        bad = torch.where(white[:, None], torch.nan, found.scores)
        return found._replace(scores=bad, valid=found.valid | white[:, None])

    results = run_predict(checkpoint, pictures, tmp_path / "out", batch_size=4, tta=broken)
    assert set(summary(results)) == {"a.png", "c.png", "d.png"}
    told = capsys.readouterr().out
    assert "skipped: b.png: " in told and "a detection's box or score is not finite; the weights have" in told
    assert told.rstrip().endswith("skipped 1: b.png")


def test_the_best_scores_of_an_evaluation_are_used(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "best.ckpt"
    copy.write_bytes(checkpoint.read_bytes())
    best = partial(run_predict, copy, pictures, score_threshold="best")
    with pytest.raises(
        ValueError, match=r"no .*best\.thresholds\.json with the best scores: run evaluate\.py checkpoint="
    ):
        best(tmp_path / "out")
    every = run_predict(copy, pictures, tmp_path / "every")
    scores = sorted(r["score"] for r in every if r["category_id"] == 1)
    assert len(scores) > 4 and {r["category_id"] for r in every} > {1}
    middle = scores[len(scores) // 2]
    found = {
        "circle": {"score": middle, "f1": 0.5},
        "square": None,
        "triangle": {"score": 1.0, "f1": 0.1},
        "star": None,
    }
    thresholds_file.write(thresholds_file.path_of(copy), copy, found, Path("val.json"), 6)  # type: ignore[arg-type]
    capsys.readouterr()
    kept = best(tmp_path / "out")
    assert kept == [r for r in every if r["category_id"] == 1 and r["score"] >= middle]
    assert f"least scores: circle {middle:.2f}, no square, triangle 1.00, no star" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"device": "gpu9"}, r"device=gpu9 cannot be used \(.*\); device=cpu works everywhere"),
        ({"batch_size": 0}, r"batch_size is 0; give 1 or more"),
        ({"outputs": []}, r"outputs=\[\] would write nothing: give what to write, such as outputs=\[pictures,coco\]"),
        ({"score_threshold": 5.0}, r"score_threshold is 5; scores, and so thresholds, are from 0 to 1"),
        (
            {"score_threshold": {"circel": 0.5}},
            r"score_threshold names 'circel', but the checkpoint's classes are circle",
        ),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_written(
    changed: dict[str, Any], message: str, checkpoint: Path, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        run_predict(checkpoint, pictures, tmp_path / "out", **changed)
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_output_folder_is_named(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ValueError, match=r"output=.*/out is a file; give a folder"):
        run_predict(checkpoint, pictures, tmp_path / "out")


def test_nothing_that_could_be_read_is_an_error(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.mp4"):
        (tmp_path / "in" / name).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of the 2 files could be predicted"):
        run_predict(checkpoint, tmp_path / "in", tmp_path / "out")
    told = capsys.readouterr().out
    assert "a.png is not a picture, or broken" in told and "b.mp4 does not open as a video" in told


def test_a_batch_that_memory_does_not_hold_is_tried_one_by_one(
    checkpoint: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = summary(run_predict(checkpoint, pictures, tmp_path / "whole"))
    original, calls = Predictor.predict_batch, []
    held: list[weakref.ref[torch.Tensor]] = []

    def hungry(self: Predictor, images: list[np.ndarray], **named: Any) -> Any:
        assert not any(tensor() is not None for tensor in held), "the failed attempt's memory is not free yet"
        calls.append(len(images))
        if len(images) > 1 or calls == [4, 1, 1]:
            features = torch.zeros(1)
            held.append(weakref.ref(features))
            raise torch.OutOfMemoryError("out of memory")
        return original(self, images, **named)

    monkeypatch.setattr(Predictor, "predict_batch", hungry)
    some = summary(run_predict(checkpoint, pictures, tmp_path / "out", batch_size=4))
    assert calls == [4, 1, 1, 1, 1]
    assert some == {name: scores for name, scores in whole.items() if name != "b.png"}
    assert "skipped: b.png: out of memory" in capsys.readouterr().out


def test_an_array_is_stretched_as_its_file_is(run: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 60, (96, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[:, :, ::-1])
    stretch = "{_target_: maskrcnn.data.stretch.Stretch, percentiles: [1.0, 99.0], gamma: 0.5}"
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    predictor = Predictor(restore(checkpoint, [f"data.stretch={stretch}"], []), "cpu", 1)
    of_file, of_array = predictor.predict(tmp_path / "a.png", 0.0), predictor.predict(pixels, 0.0)
    of_read = predictor.predict(predictor.read(tmp_path / "a.png", None), 0.0, as_read=True)
    of_bytes = predictor.predict((tmp_path / "a.png").read_bytes(), 0.0)
    assert len(of_file.results) > 0 and of_file.results == of_array.results == of_read.results == of_bytes.results
    assert of_file.results != maskrcnn.load(checkpoint).predict(pixels, 0.0).results


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"pixels", r"^the file is not a picture, or broken \(6 bytes\): replace it, or leave it out$"),
        ([[1]], r"not list: of PIL's, give numpy.array\(picture.convert\('RGB'\)\), of a tensor"),
        (
            torch.zeros(3, 8, 8, dtype=torch.uint8),
            r"a file, its bytes or a NumPy array \[h, w, 3\] uint8 RGB, not Tensor",
        ),
        (
            np.zeros((8, 9), np.uint8),
            r"this one is \[8, 9\] uint8: numpy.dstack\(\[picture\] \* 3\) makes a grey one RGB",
        ),
        (np.zeros((3, 8, 9), np.uint8), r"this one is \[3, 8, 9\] uint8: give picture.transpose\(1, 2, 0\)"),
        (np.zeros((8, 9, 3), np.float32), "float32: bring its values to whole numbers from 0 to 255, or give the file"),
        (np.zeros((8, 9, 5), np.uint8), r"this one is \[8, 9, 5\] uint8$"),
    ],
)
def test_what_is_no_picture_is_told_how_to_become_one(image: Any, message: str, run: Path) -> None:
    predictor = Predictor(restore(str(run / "checkpoints" / "last.ckpt"), [], []), "cpu", 1)
    with pytest.raises(ValueError, match=message):
        predictor.predict(image)


def test_loading_takes_no_random_number_of_the_program(checkpoint: Path) -> None:
    before = torch.get_rng_state()
    maskrcnn.load(checkpoint)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("theirs", [torch.float64, torch.bfloat16])
def test_torch_s_default_type_of_the_program_changes_nothing(
    theirs: torch.dtype, checkpoint: Path, pictures: Path
) -> None:
    model = maskrcnn.load(checkpoint)
    expected = model.predict(pictures / "a.png", 0.0).results
    torch.set_default_dtype(theirs)
    try:
        again = maskrcnn.load(checkpoint)
        assert torch.get_default_dtype() == theirs
        assert expected == model.predict(pictures / "a.png", 0.0).results
        assert expected == again.predict(pictures / "a.png", 0.0).results
    finally:
        torch.set_default_dtype(torch.float32)


def test_torch_s_default_device_of_the_program_changes_nothing(checkpoint: Path, pictures: Path) -> None:
    model = maskrcnn.load(checkpoint)
    expected = model.predict(pictures / "a.png", 0.0).results
    stages = model.stages(pictures / "a.png")
    with torch.device("meta"):  # stands for a GPU: what is made there has no values
        again = maskrcnn.load(checkpoint)
        found = [one.predict(pictures / "a.png", 0.0).results for one in (model, again)]
        same = again.stages(pictures / "a.png")
    assert found == [expected, expected] and expected
    assert all(torch.equal(a, b) for a, b in zip(tree_leaves(stages), tree_leaves(same), strict=True))


def test_threads_find_what_each_would_find_alone(checkpoint: Path, pictures: Path) -> None:
    cv2.imwrite(str(pictures / "wide.png"), np.full((50, 190, 3), 90, np.uint8))
    model = maskrcnn.load(checkpoint)
    files = sorted(pictures.iterdir())
    alone = [model.predict(file, 0.0).results for file in files]
    assert len(files) == 5 and all(alone)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda file: model.predict(file, 0.0).results, files * 3))
    assert together == alone * 3


def test_a_batch_is_a_list(run: Path) -> None:
    predictor = Predictor(restore(str(run / "checkpoints" / "last.ckpt"), [], []), "cpu", 1)
    with pytest.raises(ValueError, match=r"predict_batch takes a list of pictures, not 'a.png' alone"):
        predictor.predict_batch("a.png")
    with pytest.raises(ValueError, match=r"a list of pictures, not \[9, 8, 3\] uint8 alone"):
        predictor.predict_batch(np.zeros((9, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"a list of pictures, not 5 bytes alone"):
        predictor.predict_batch(b"a.png")


def test_a_folder_s_sub_folders_are_told_of(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "a.png",
        "sub/b.png",
        "sub/c/d.jpg",
        "sub/notes.txt",
        "sub/.d.png",
        ".git/e.png",
        "out/pictures/a.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 50, 3), np.uint8))
    run_predict(checkpoint, tmp_path, tmp_path / "out")
    told = capsys.readouterr().out
    assert f"2 files in sub-folders of {tmp_path} are left out; 'source=\"{tmp_path}/**\"' takes them" in told
