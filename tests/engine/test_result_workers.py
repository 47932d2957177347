"""Results from processes against those made at once, their order, errors, and the processes' end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from maskrcnn.engine.result_workers import AHEAD, Results, ResultWorkers
from maskrcnn.evaluation.results import coco_results
from maskrcnn.structures import Detections


def make_call(index: int, score: float = 0.5) -> Callable[[], Results]:
    """Detections of two pictures, made under inference mode as a model's are."""
    draw = torch.Generator().manual_seed(index)
    with torch.inference_mode():
        corners = torch.rand(2, 7, 2, generator=draw) * 30
        sides = torch.rand(2, 7, 2, generator=draw) * 20 + 1
        detections = Detections(
            torch.cat((corners, corners + sides), dim=2),
            torch.full((2, 7), score),
            torch.randint(0, 3, (2, 7), generator=draw),
            torch.rand(2, 7, 14, 14, generator=draw),
            torch.rand(2, 7, generator=draw) < 0.8,
        )
        sizes = torch.tensor([[48, 64]]).expand(2, 2)
        return partial(
            coco_results, detections, sizes, sizes * 2, torch.tensor([2 * index, 2 * index + 1]), paste="continuous"
        )


def test_processes_give_the_same_results_in_the_order_of_the_calls() -> None:
    at_once, workers = ResultWorkers(0), ResultWorkers(2)
    calls = [make_call(i) for i in range(2 * AHEAD + 5)]
    expected = [found for call in calls for found in at_once.call(call)]
    found = []
    for call in calls:
        found += workers.call(call)
        assert len(workers.waiting) <= 2 * AHEAD
    found += workers.finish()
    workers.close()
    assert found == expected
    assert [list(results) for results in found] == [[2 * i, 2 * i + 1] for i in range(len(calls))]
    assert any(result["segmentation"]["counts"] for results in found for result in results[next(iter(results))])


def test_an_error_of_a_process_reaches_the_caller() -> None:
    workers = ResultWorkers(1)
    list(workers.call(make_call(3, score=float("nan"))))
    with pytest.raises(ValueError, match="picture 6: a detection's box or score is not finite"):
        list(workers.finish())
    workers.close()


def test_processes_end_when_the_main_process_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import os, time\n"
        "from maskrcnn.engine.result_workers import ResultWorkers\n"
        "class Pid:\n"
        "    def __call__(self):\n"
        "        return {os.getpid(): []}\n"
        "if __name__ == '__main__':\n"
        "    workers = ResultWorkers(1)\n"
        "    found = [*workers.call(Pid()), *workers.finish()]\n"
        "    print(*found[0], flush=True)\n"
        "    time.sleep(600)\n"
    )
    main = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert main.stdout is not None
    worker = int(main.stdout.readline())
    assert worker != main.pid
    os.kill(main.pid, signal.SIGKILL)
    # Both write to this pipe, so that its end is the end of both; else TimeoutExpired.
    assert main.communicate(timeout=60) == ("", None)
    assert main.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_evaluation_by_processes_is_the_same_file(
    run: Path, command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    files = []
    for workers in (0, 2):
        out = tmp_path / str(workers)
        done = command(
            "evaluate.py", f"checkpoint={run}/checkpoints/best.ckpt", "funnel=true", f"output={out}",
            f'override=["callbacks.mean_ap.workers={workers}"]', tiny=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        files.append([(out / name).read_bytes() for name in ("detections.json", "curves.json", "funnel.json")])
    assert len(files[0][0]) > 1000 and files[0] == files[1]
