"""The profile of a few steps."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from torch.autograd import DeviceType

from maskrcnn.engine.module import MaskRCNNModule
from maskrcnn.engine.profile import PREFIX, Profile, time_of_parts

Fit = Callable[..., dict[str, float]]


def event(name: str, start: int, end: int, number: int = -1, parent: Any = None) -> Any:
    """An event as torch's profiler gives them, in microseconds."""
    return SimpleNamespace(
        name=name, time_range=SimpleNamespace(start=start, end=end), cpu_time_total=end - start,
        sequence_nr=number, cpu_parent=parent, device_type=DeviceType.CPU,
    )  # fmt: skip


def test_the_time_of_each_part_is_told_apart_forward_and_backward() -> None:
    backbone, neck, head = (
        event(PREFIX + "backbone", 0, 3000),
        event(PREFIX + "neck", 3000, 4000),
        event(PREFIX + "box head", 4000, 6000),
    )
    node = "autograd::engine::evaluate_function: "
    events = [
        backbone, event("aten::conv2d", 100, 2900, 7, backbone),
        # Without a gradient: it carries the number of the node that comes next, which is not its own.
        neck, event("aten::exp", 3100, 3900, 8, neck),
        head, event("aten::linear", 4100, 5900, 8, head),
        event("aten::sum", 6000, 6100, 9),
        event(node + "SumBackward0", 6200, 6300, 9),
        event(node + "AddmmBackward0", 6300, 8300, 8),
        event(node + "ConvolutionBackward0", 8300, 13300, 7),
        event(PREFIX + "optimiser", 13300, 14000),
    ]  # fmt: skip
    spent = time_of_parts(events)
    assert spent["backbone"] == [3.0, 5.0] and spent["neck"] == [1.0, 0.0] and spent["box head"] == [2.0, 2.0]
    assert spent["optimiser"] == [0.7, 0.0] and spent["mask head"] == [0.0, 0.0]
    # 14 ms in all, 13.7 of them told.
    assert spent["other"] == pytest.approx([0.2, 0.1])


def test_debug_profile_prints_all_parts_and_writes_a_trace(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path / "run", "debug=profile", "data.batch_size=1", "logger=csv", "callbacks.pictures=null")
    output = capsys.readouterr().out
    trace = tmp_path / "run" / "profile" / "trace.json"
    assert f"wrote {trace}" in output and "the mean of 5" in output
    rows = dict(re.findall(r"│ ([A-Za-z ]+?) +│ +([\d.]+) │", output))
    assert list(rows) == ["data", "normalise", "backbone", "neck", "RPN head", "RPN loss", "proposals", "sampling",
                          "RoIAlign", "box head", "mask head", "optimiser", "other"]  # fmt: skip
    backward = dict(re.findall(r"│ ([A-Za-z ]+?) +│ +[\d.]+ │ +([\d.]*) +│", output))
    assert {name for name, value in backward.items() if value} >= {
        "backbone",
        "neck",
        "RoIAlign",
        "box head",
        "mask head",
    }
    assert not backward["proposals"] and not backward["sampling"]  # they are computed without a gradient
    names = [event["name"] for event in json.loads(trace.read_text())["traceEvents"] if event.get("ph") == "X"]
    assert names.count("step: backbone") == names.count("step: optimiser") == names.count("step: data") == 5


def test_of_several_ranks_one_is_looked_at(tmp_path: Path) -> None:
    profile = Profile(directory=str(tmp_path), skip=1, steps=1)
    for number in range(2):
        trainer: Any = SimpleNamespace(is_global_zero=False)
        profile.on_train_batch_end(trainer, Mock(spec=MaskRCNNModule), None, None, number)
    assert profile.profiler is None and list(tmp_path.iterdir()) == []


def test_an_epoch_too_short_for_a_profile_is_refused_before_anything_is_written(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="looks at 5 steps after the first 3, but an epoch has 4 batches: take more"):
        fit(tmp_path / "run", "debug=profile")
    assert not (tmp_path / "run").exists()
    Profile(directory="profile", skip=3, steps=5).check(8)
