import re
from collections.abc import Callable

import pytest
import torch


@pytest.mark.slow
def test_the_cpu_benchmark_counts_the_work_of_a_training_step(benchmark: Callable[..., str]) -> None:
    told = benchmark("cpu", "train", "quick")
    found = dict(re.findall(r"^(.*?): (.*)$", told, re.MULTILINE))
    # Counted, not timed: 2 pictures of 160 x 224 have 0.075 of the pixels of 2 of 600 x 800, whose step has 1.07 TFLOP
    # with 48 mask slots; the heads' work depends on the regions alone. The gradient of the RPN through all of its 2 x
    # 2987 cells, and not through the 3 x 3 cells around its 2 x 256 anchors only, would be 0.012 more.
    assert float(found["ours, TFLOP"]) == pytest.approx(0.354, rel=0.02)
    assert 0 < int(found["mask slots with an object"]) <= int(found["mask slots"]) == 64
    assert 0 < float(re.findall(r"share of convolutions and matrix products: ([\d.]+)", told)[0]) < 1
    seconds = float(re.findall(r"^ours: \[([\d.]+)", told, re.MULTILINE)[0])
    share = float(found["ours, TFLOP"]) * 1e3 / seconds / float(found["measured peak, GFLOP/s"])
    assert float(found["ours, share of the measured peak"]) == pytest.approx(share, abs=2e-3)


@pytest.mark.slow
def test_the_cpu_benchmark_times_every_operator(benchmark: Callable[..., str]) -> None:
    told = benchmark("cpu", "operators", "quick")
    names = re.findall(r"^(.*):\n  ours: \[", told, re.MULTILINE)
    pooled = [f"RoIAlign {n} x {n}, {way}" for n in (7, 14) for way in ("forward", "forward and backward")]
    assert [*names[:4], names[4], names[6]] == [*pooled, "NMS, 5 x 1,000", "mask targets of 128 regions"]
    # A grid of 40 x 56 cells on P2 and its halves down to P6, 3 anchors a cell.
    assert names[5] == f"matching {3 * (40 * 56 + 20 * 28 + 10 * 14 + 5 * 7 + 3 * 4)} anchors of 2 pictures"


@pytest.mark.slow
def test_the_gpu_benchmark_measures_operators(benchmark: Callable[..., str]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    assert "operators, nms: {" in benchmark("gpu", "/dev/null", "quick", "operators")
