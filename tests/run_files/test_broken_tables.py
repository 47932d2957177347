"""Tables that a kill or a loss of power left broken: what is whole stays, and nothing is invented."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.commands.trained_run import TrainedRun
from maskrcnn.engine.metrics_file import MetricsFile
from maskrcnn.run_files import checksum_file, receipt_file
from maskrcnn.run_files.checksum_file import Checksums, Step
from maskrcnn.run_files.metric_curves import read_curve
from maskrcnn.run_files.whole_rows import read_rows

ROWS = "loss,step\r\n0.5,1\r\n0.25,2\r\n"


def go_on(folder: Path, rows: int) -> str:
    """The file after a run went on that had so many rows, and logged another."""
    file = MetricsFile(directory=str(folder))
    file.keep(rows)
    file.log_metrics({"loss": 0.125}, step=3)
    file.save()
    return (folder / "metrics.csv").read_text()


def test_metrics_from_before_the_checkpoint_stay(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(f"{ROWS}9,9\r\n")
    assert go_on(tmp_path, 2) == "loss,step\n0.5,1\n0.25,2\n0.125,3\n"


@pytest.mark.parametrize(
    ("text", "count", "kept"),
    [
        (ROWS[:-3], 1, "0.5,1\n"),  # whole but for its last digit, for all one can tell
        (f"{ROWS[:-8]}\0\0\0\0\r\n", 1, "0.5,1\n"),
        (ROWS[:15], 0, ""),
        ("", 0, ""),
        (None, 0, ""),
    ],
)
def test_rows_that_are_lost_are_told_of(text: str | None, count: int, kept: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "metrics.csv").write_text(text)
    with pytest.warns(UserWarning, match=f"metrics.csv holds {count} of the 2 rows from before the checkpoint"):
        assert go_on(tmp_path, 2) == f"loss,step\n{kept}0.125,3\n"


def test_columns_that_found_no_room_leave_the_table_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = MetricsFile(directory=str(tmp_path))
    file.log_metrics({"loss": 0.5}, step=1)
    file.save()
    file.log_metrics({"loss": 0.25, "AP": 1.0}, step=2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="no room"):
            file.save()
    file.save()
    assert read_rows(tmp_path / "metrics.csv")[1] == [
        {"AP": "", "loss": "0.5", "step": "1"},
        {"AP": "1.0", "loss": "0.25", "step": "2"},
    ]


def full(*_: object) -> None:
    raise OSError("no room")


def test_a_row_that_is_being_written_is_no_point_of_a_curve(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "metrics.csv").write_text(f"{ROWS}0.125,3,1\r\n0.0625,4,\r\n1e-")
    assert read_curve(tmp_path, "loss", "step") == [(1, 0.5), (2, 0.25)]


def test_a_block_of_zeros_is_no_table(tmp_path: Path) -> None:
    (tmp_path / checksum_file.NAME).write_text(f"step,loss,neck\r\n0,,1\r\n{chr(0) * 200_000}1,0.5,2\r\n")
    with pytest.raises(ValueError, match="checksums.csv is broken: field larger than field limit"):
        checksum_file.read(tmp_path)


@pytest.mark.parametrize(
    ("keep", "steps"),
    [(None, [0, 1]), (-4, [0]), (8, []), (0, [])],
    ids=["whole", "last number cut", "head cut", "empty"],
)
def test_checksums_of_whole_lines_stay(keep: int | None, steps: list[int], tmp_path: Path) -> None:
    kept = Checksums(("neck",), {0: Step("", (111,)), 1: Step("0.5", (222,)), 2: Step("0.25", (333,))})
    checksum_file.write(tmp_path, kept._replace(steps={0: kept.steps[0], 1: kept.steps[1]}))
    path = tmp_path / checksum_file.NAME
    path.write_bytes(path.read_bytes()[:keep])
    checksum_file.cut(tmp_path, ("neck",), 1)
    checksum_file.append(tmp_path, {2: kept.steps[2]})
    assert checksum_file.read(tmp_path) == Checksums(("neck",), {step: kept.steps[step] for step in [*steps, 2]})


def test_checksums_of_another_model_begin_anew(tmp_path: Path) -> None:
    checksum_file.write(tmp_path, Checksums(("neck",), {0: Step("", (111,))}))
    checksum_file.cut(tmp_path, ("neck", "rpn"), 1)
    assert checksum_file.read(tmp_path) == Checksums(("neck", "rpn"), {})


START: dict[str, Any] = {
    "time": "2026-11-27T18:00:40+00:00", "overrides": [], "identity": "a", "changed": [], "commit": None, "diff": None,
    "diff_sha256": None, "versions": {"cuda": None}, "data": None, "step": None, "seconds": 1,
    "hardware": {"cpu": "a", "cores": 2, "threads": 1, "gpus": [], "MKL_CBWR": "a"},
}  # fmt: skip
RECEIPT: dict[str, Any] = {"identity": "a", "config": {}, "starting_weights": None, "starts": [START], "end": None}


def changed(**values: Any) -> str:
    return json.dumps(RECEIPT | values)


def started(**values: Any) -> str:
    return changed(starts=[START | values])


def test_a_receipt_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text(changed(note="of tomorrow"))
    assert receipt_file.read(tmp_path) == RECEIPT | {"note": "of tomorrow"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, r"is broken \(maximum recursion depth"),
        ("[]", r"is broken \(Expected `object`, got `array`\)"),
        ("{}", r"is broken \(Object missing required field `identity`\)"),
        (changed(starts=[]), r"is broken \(Expected `array` of length >= 1 - at `\$\.starts`\)"),
        (changed(config=[]), r"is broken \(Expected `object`, got `array` - at `\$\.config`\)"),
        (changed(starts=["x"]), r"is broken \(Expected `object`, got `str` - at `\$\.starts\[0\]`\)"),
        (changed(end=1), r"is broken \(Expected `object \| null`, got `int` - at `\$\.end`\)"),
        (started(overrides="x"), r"is broken \(Expected `array`, got `str` - at `\$\.starts\[0\]\.overrides`\)"),
        (started(step="x"), r"is broken \(Expected `int \| null`, got `str` - at `\$\.starts\[0\]\.step`\)"),
        (started(data=[1]), r"is broken \(Expected `object \| null`, got `array` - at `\$\.starts\[0\]\.data`\)"),
        (started(hardware={"cpu": "a"}), r"is broken \(Object missing required field `cores` - at `\$\.starts"),
        (started(time="yesterday"), r"is broken \(Invalid RFC3339 encoded datetime - at `\$\.starts\[0\]\.time`\)"),
    ],
)
def test_what_is_no_receipt_is_told(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text(text)
    with pytest.raises(ValueError, match=rf"receipt\.json {reason}"):
        receipt_file.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("!!python/object/apply:os.system [exit]", r"is broken \(could not determine a constructor"),
        ("[" * 10_000, "is broken"),
        ("", "is not the configuration of a run"),
        ("{data: {}, model: 1, trainer: {}}", "is not the configuration of a run"),
    ],
)
def test_what_is_no_configuration_is_told(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"config\.yaml {reason}"):
        TrainedRun(tmp_path)


def test_tables_of_no_numbers_are_named(tmp_path: Path) -> None:
    (tmp_path / "checksums.csv").write_text("step,loss,neck\n0,,seven\n")
    with pytest.raises(ValueError, match=r"checksums\.csv is broken: invalid literal .*'seven'"):
        checksum_file.read(tmp_path)
    (tmp_path / "checksums.csv").write_bytes(b"\xff\xfe\n")
    with pytest.raises(ValueError, match=r"checksums\.csv is broken: its first line"):
        checksum_file.read(tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "metrics.csv").write_text("step,AP\n1,0.5\n")
    (tmp_path / "metrics" / "metrics_old.csv").write_text("step,AP\n0,0.25\n")  # none of ours, which have numbers
    assert read_curve(tmp_path, "AP", "step") == [(1.0, 0.5)]
    (tmp_path / "metrics" / "metrics.csv").write_text("step,AP\n1,high\n")
    with pytest.raises(ValueError, match=r"metrics\.csv is broken: could not convert string to float: 'high'"):
        read_curve(tmp_path, "AP", "step")
