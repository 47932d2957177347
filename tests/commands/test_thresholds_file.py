"""The best scores beside a checkpoint."""

import json
from pathlib import Path

import pytest

from maskrcnn.commands import thresholds_file


def test_what_is_written_is_read_and_only_for_the_same_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.write_bytes(b"weights")
    best = {"disc": {"score": 0.1 + 0.2, "precision": 1.0, "recall": 0.5, "f1": 2 / 3}, "ring": None}
    path = thresholds_file.path_of(checkpoint)
    with pytest.raises(ValueError, match=r"no .*best.thresholds.json .*: run evaluate.py checkpoint="):
        thresholds_file.read(checkpoint)
    thresholds_file.write(path, checkpoint, best, Path("val.json"), 7)
    assert thresholds_file.read(checkpoint) == {"disc": 0.1 + 0.2}
    content = json.loads(path.read_text())
    assert content["thresholds"] == {"disc": 0.1 + 0.2, "ring": None} and content["f1"]["disc"] == 2 / 3
    assert (content["annotations"], content["pictures"]) == ("val.json", 7)
    checkpoint.write_bytes(b"other weights")
    with pytest.raises(ValueError, match="another state of best.ckpt: run evaluate.py"):
        thresholds_file.read(checkpoint)
    for text in ("[]", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ValueError, match="is broken"):
            thresholds_file.read(checkpoint)
