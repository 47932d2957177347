from pathlib import Path

import pytest
from omegaconf import OmegaConf

from maskrcnn.sweep.callback import SweepCallback


def test_a_report_that_cannot_be_written_ends_a_sweep_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maskrcnn.sweep.report.report", full)
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    with pytest.raises(SystemExit, match=f"^error: the report of {tmp_path} is not written: a disk is full: make room"):
        SweepCallback().on_multirun_end(config)
