"""Pictures of five channels and 12 bits, from TIFF files to predictions."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

import maskrcnn
from maskrcnn.commands.evaluate import evaluate
from maskrcnn.commands.predict import predict
from maskrcnn.config.build import build
from maskrcnn.config.compose import check, compose, portable, to_plain
from maskrcnn.engine.restore import restore
from maskrcnn.engine.rules import check_channels
from maskrcnn.engine.train import train
from maskrcnn.engine.tta import Tta
from maskrcnn.prediction.tiles import Tiling
from maskrcnn.run_files import checkpoint

HEIGHT, WIDTH = 64, 96
SMALL = [
    "data=coco_custom", "data.resize.shortest=[64]", "data.resize.longest=96", "data.workers=0",
    "data.source.train_images=.", "data.source.train_annotations=a.json", "data.source.val_images=.",
    "data.source.val_annotations=a.json", "model.backbone.width=8", "model.neck.channels=16",
    "model.box_head.trunk.features=[32]", "model.mask_head.channels=[16]", "model.mask_head.upsampled_channels=16",
    "model.sampler.batch_per_image=16", "model.box_head.score_threshold=0.0", "callbacks.pictures.score_threshold=0.0",
    "debug=fast", "data.channels=5", "data.max_value=4095",
]  # fmt: skip
PIXELS = ["model.pixel_mean=[60,60,60,60,60]", "model.pixel_std=[40,40,40,40,40]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of noise, each with one object that only the fourth channel shows."""
    root = tmp_path_factory.mktemp("five")
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(1, 5):
        pixels = rng.integers(2000, size=(5, HEIGHT, WIDTH), dtype=np.uint16)
        x, y = (int(v) for v in rng.integers(5, 30, size=2))
        pixels[3, y : y + 24, x : x + 30] += 2000
        samples = pixels if i % 2 else pixels.transpose(1, 2, 0)  # as pages, and as samples of a pixel
        options = {} if i % 2 else {"planarconfig": "contig"}
        tifffile.imwrite(root / f"{i}.tif", samples, photometric="minisblack", **options)
        images.append({"id": i, "file_name": f"{i}.tif", "height": HEIGHT, "width": WIDTH})
        box = [x, y, 30, 24]
        outline = [x, y, x + 30, y, x + 30, y + 24, x, y + 24]
        annotations.append({"id": i, "image_id": i, "category_id": 1, "bbox": box, "area": 720, "iscrowd": 0,
                            "segmentation": [outline]})  # fmt: skip
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "spot"}]}
    (root / "a.json").write_text(json.dumps(content))
    return root


def run(folder: Path, run_dir: Path, *overrides: str) -> Path:
    """Trains as the command does, in this process; returns the checkpoint."""
    config = compose([*SMALL, *PIXELS, f"data.root={folder}", f"run_dir={run_dir}", *overrides])
    plain = to_plain(config)
    check(plain, train)
    check_channels(plain)
    train(portable(config), lambda: None, **build(plain, []))
    return run_dir / "checkpoints" / "last.ckpt"


def test_five_channels_are_trained_evaluated_and_predicted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(folder, tmp_path / "run")
    assert checkpoint.read(path)["state_dict"]["model.backbone.conv1.0.weight"].shape == (4, 5, 3, 3)
    sheet = cv2.imread(str(next((tmp_path / "run" / "pictures").iterdir())))
    assert sheet is not None and sheet.std() > 10
    metrics = (tmp_path / "run" / "metrics" / "metrics.csv").read_text().splitlines()
    logged = [row for row in csv.DictReader(metrics) if row["segm/AP"]][-1]
    scores = evaluate(**build(to_plain(compose([f"checkpoint={path}", f"output={tmp_path}/out"], "evaluate")), []))
    assert scores["segm/AP"] == pytest.approx(float(logged["segm/AP"]), rel=1e-6, abs=0)

    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "good.tif").write_bytes((folder / "1.tif").read_bytes())
    cv2.imwrite(str(tmp_path / "new" / "rgb.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    predict(
        checkpoint=str(path), source=str(tmp_path / "new"), output=str(tmp_path / "found"), score_threshold=0.0,
        outputs=["coco", "pictures"], tile=Tiling(size=None, overlap=0), batch_size=1, override=[], device="cpu",
        plugins=[], stages=False, tta=Tta(flip=False, scales=[1.0]),
    )  # fmt: skip
    assert "new/rgb.png has 3 channels, but data.channels is 5" in capsys.readouterr().out
    results = json.loads((tmp_path / "found" / "detections.json").read_text())
    stored = tifffile.imread(folder / "1.tif").transpose(1, 2, 0)
    predictor = maskrcnn.load(path)
    found = predictor.predict(np.rint(stored / 4095 * 255).astype(np.uint8), score_threshold=0.0)
    assert [r["score"] for r in results] == found.scores.tolist() != []
    with pytest.raises(ValueError, match=r"a picture must be \[h, w, 5\] uint8; this one is \[64, 96, 3\] uint8"):
        predictor.predict(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(ValueError, match=r"model\.pixel_mean has 5 values, but data\.channels is 4: give"):
        restore(path, ["data.channels=4"], [])
    with pytest.raises(ValueError, match=r"model\.pixel_std is .*; every channel needs a value above 0"):
        restore(path, ["model.pixel_std=[1, 1, 1, 1, 0]"], [])


def test_colours_cannot_be_jittered_in_five_channels(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.transforms cannot .* data\.channels=5 \(\w+: ColorJitter"):
        run(folder, tmp_path / "run", "augmentation=photometric", "data.transforms.1.p=1.0")
