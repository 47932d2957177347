"""Sheets of the stages, from the command and from Python."""

from pathlib import Path

import cv2
import numpy as np
import torch

import maskrcnn
from maskrcnn.commands.predict import predict
from maskrcnn.engine.tta import Tta
from maskrcnn.prediction.tiles import Tiling
from maskrcnn.visualize.stages import draw_stages


def test_predict_writes_a_sheet_of_what_the_model_does(run: Path, tmp_path: Path) -> None:
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    picture = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), picture[:, :, ::-1])
    predict(checkpoint=checkpoint, source=str(tmp_path / "in"), output=str(tmp_path / "out"), outputs=[], stages=True,
            score_threshold=0.1, tile=Tiling(size=None, overlap=0), batch_size=1, override=[], device="cpu",
            plugins=[], tta=Tta(flip=False, scales=[1.0]))  # fmt: skip
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == ["a.png"]
    written = cv2.imread(str(tmp_path / "out" / "stages" / "a.png"))

    predictor = maskrcnn.load(checkpoint)
    stages = predictor.stages(picture)
    want = draw_stages("a", stages, predictor.classes, np.full(4, 0.1), predictor.paste)
    assert written is not None
    np.testing.assert_array_equal(written[:, :, ::-1], want)
    # 90 x 130 is brought to 177 x 256, on a canvas of 192 x 256.
    assert stages.image_sizes.tolist() == [[177, 256]] and stages.images.shape == (1, 3, 192, 256)
    found = predictor.predict(picture, score_threshold=0.0)
    scores = stages.detections.scores[stages.detections.valid]
    assert len(scores) == len(found.scores) > 0
    torch.testing.assert_close(scores.double(), torch.tensor(found.scores), rtol=0, atol=1e-6)
