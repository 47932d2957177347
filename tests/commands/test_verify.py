"""Replayed steps against the checksums that a run kept."""

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from maskrcnn.commands.verify import compare, differences, verify
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.run_files import checksum_file, receipt_file
from maskrcnn.run_files.checksum_file import Checksums, Step
from maskrcnn.run_files.machine import hardware


@pytest.fixture
def short(run: Path, tmp_path: Path) -> Path:
    """A run that was stopped after two steps."""
    folder = tmp_path / "short"
    folder.mkdir()
    for name in ("receipt.json", "checksums.csv"):
        shutil.copy(run / name, folder)
    checksum_file.cut(folder, checksum_file.read(folder).parts, 2)
    receipt = receipt_file.read(folder)
    threads = receipt["starts"][0]["hardware"]["threads"]
    torch.set_num_threads(threads)  # other numbers of threads add in other orders
    return folder


def test_an_identical_run_and_edited_checksums(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(verify=str(short), plugins=[]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "identical: 2 steps"
    assert sorted(path.name for path in short.iterdir()) == ["checksums.csv", "receipt.json"]
    found = checksum_file.read(short)
    row = list(found.steps[2].sums)
    row[found.parts.index("mask_head.logits")] += 1
    found.steps[2] = found.steps[2]._replace(sums=tuple(row))
    checksum_file.write(short, found)
    assert verify(verify=str(short), plugins=[]) == 3
    output = capsys.readouterr().out
    assert "within tolerance: the losses of 2 steps agree to 0.0e+00" in output
    assert "first different at step 2 in mask_head.logits; the loss before it is the same" in output
    assert "the receipts do not differ" in output


def test_another_starting_weight_is_named(
    short: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = MaskRCNN.__init__

    @functools.wraps(made)
    def changed(self: MaskRCNN, *arguments: Any, **chosen: Any) -> None:
        made(self, *arguments, **chosen)
        self.mask_head.logits.weight.data[0] += 0.5

    monkeypatch.setattr(MaskRCNN, "__init__", changed)
    assert verify(verify=str(short), plugins=[]) == 1
    output = capsys.readouterr().out
    assert output.startswith("first different at step 0 in mask_head.logits, the starting weights. Of 2 steps, the")
    assert "- the starting weights: weights=, the seed's draws or the model's code changed" in output


def test_a_changed_picture_is_named(
    short: Path, shapes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(shapes_root, tmp_path / "shapes"))
    for picture in (root / "train").iterdir():
        cv2.imwrite(str(picture), 255 - cv2.imread(str(picture)))
    receipt = receipt_file.read(short)
    receipt["config"]["data"]["root"] = str(root)
    receipt_file.write(short, receipt)
    assert verify(verify=str(short), plugins=[]) == 1
    output = capsys.readouterr().out
    assert output.startswith("first different at step 1 in backbone.conv1 and 14 more of its parts; the loss before it")
    assert "- the data: pictures of train changed since the run\n" in output
    assert "annotations of train" not in output


def test_a_receipt_cannot_name_what_it_likes(short: Path) -> None:
    receipt = receipt_file.read(short)
    receipt["config"]["plugins"] = ["os"]
    receipt["config"]["schedule"] = {"_target_": "os.system", "command": "touch ran"}
    receipt_file.write(short, receipt)
    with pytest.raises(ValueError, match=r"schedule\._target_ is 'os.system', which is not among the packages"):
        verify(verify=str(short), plugins=[])


def test_a_run_without_first_steps_has_nothing_to_compare(short: Path) -> None:
    checksum_file.cut(short, checksum_file.read(short).parts, 0)
    with pytest.raises(ValueError, match="there is nothing to compare"):
        verify(verify=str(short), plugins=[])
    (short / "checksums.csv").unlink()
    with pytest.raises(ValueError, match=r"there is no .*checksums\.csv: .*callbacks\.receipt=null"):
        verify(verify=str(short), plugins=[])


def of(*losses: str, changed: dict[int, int] | None = None) -> Checksums:
    """Checksums of two parts; `changed` maps steps to the part with other bits."""
    other = changed or {}
    steps = {n: Step(loss, tuple(n + (other.get(n) == i) for i in range(2))) for n, loss in enumerate(losses)}
    return Checksums(("a.x", "b.y"), steps)


def test_comparisons() -> None:
    base = of("", "2.0", "1.0", "nan")
    assert compare(base, base, 3).step is None
    near = compare(base, of("", "2.0", "1.00001", "nan", changed={2: 1}), 3)
    assert (near.step, near.parts, near.loss, near.agree) == (2, ["b.y"], ("1.0", "1.00001"), 3)
    assert near.spread == pytest.approx(1e-5, rel=1e-3)
    far = compare(base, of("", "2.0", "1.5", "nan"), 3)
    assert (far.step, far.parts, far.agree) == (2, [], 1) and far.spread == pytest.approx(1 / 3)
    lost = compare(base, of("", "2.0", "1.0", "3.0"), 3)
    assert (lost.step, lost.agree, lost.spread) == (3, 2, float("inf"))
    assert compare(base, of("", "2.0", "1.0"), 3).step == 3  # the replay ended sooner
    assert compare(base, of("", "2.0", "1.0", "3.0"), 2).step is None
    assert compare(base, base._replace(parts=("a.x", "c.z")), 3).parts == ["b.y", "c.z"]


def test_differences_of_receipts(run: Path) -> None:
    before = receipt_file.read(run)
    now = json.loads(json.dumps(before))
    assert differences(before, now, 8) == []
    start = now["starts"][0]
    start["hardware"]["threads"] = 99
    start["versions"]["torch"] = "1.0"
    start["commit"], start["diff_sha256"] = "abc", "def"
    lines = differences(before, now, 8)
    assert lines[0].startswith("hardware.threads: ") and lines[0].endswith("-> 99")
    assert lines[1] == f"versions.torch: {torch.__version__} -> 1.0"
    assert lines[2].endswith("-> abc") and lines[3] == "uncommitted changes of tracked files"


def test_variables_that_choose_instructions_are_of_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    monkeypatch.delenv("MKL_CBWR", raising=False)
    found = hardware()
    assert found["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE" and "MKL_CBWR" not in found
