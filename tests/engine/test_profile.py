"""The profile of a few steps."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, record_function

from maskrcnn.engine.profile import PREFIX, time_of_parts

Fit = Callable[..., dict[str, float]]


def test_the_time_of_each_part_is_told_apart_forward_and_backward() -> None:
    class Slow(torch.autograd.Function):
        """Takes as many milliseconds forward and backward as it is told."""

        @staticmethod
        def forward(ctx, x, forward, backward):  # type: ignore[no-untyped-def]
            ctx.backward = backward
            time.sleep(forward / 1000)
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):  # type: ignore[no-untyped-def]
            time.sleep(ctx.backward / 1000)
            return gradient, None, None

    x = torch.ones(3, requires_grad=True)
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiler:
        with record_function(PREFIX + "backbone"):
            y = Slow.apply(x, 40, 80)
        with record_function(PREFIX + "neck"), torch.no_grad():
            y.detach().exp()  # makes no node, so that the next one has its number
        with record_function(PREFIX + "box head"):
            y = Slow.apply(y, 20, 60)
        y.sum().backward()
    spent = time_of_parts(profiler.events())
    # Sleep takes at least as long as asked; nothing of one part may be counted for another.
    assert 40 <= spent["backbone"][0] and 80 <= spent["backbone"][1]
    assert 20 <= spent["box head"][0] < 40 and 60 <= spent["box head"][1] < 80
    assert spent["neck"][0] < 20 and spent["neck"][1] == 0


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
    assert all(float(value) > 0 for value in rows.values())
    names = [event["name"] for event in json.loads(trace.read_text())["traceEvents"] if event.get("ph") == "X"]
    assert names.count("step: backbone") == names.count("step: optimiser") == names.count("step: data") == 5
