"""Results from processes against those made at once, their order, errors, and the processes' end."""

import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from maskrcnn.engine.result_workers import AHEAD, ResultWorkers, _to_bytes
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.part import Part, find_part
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.ops.paste import Crop
from maskrcnn.structures import Detections

CALLS = 2 * AHEAD + 5
SQUARE = encode_crops([Crop(np.ones((24, 24), bool), 10, 10)], (96, 128))[0]
EVALUATOR = CocoEvaluator(
    {
        "images": [{"id": i, "height": 96, "width": 128} for i in range(2 * CALLS)],
        "categories": [{"id": i, "name": name} for i, name in enumerate("abc")],
        "annotations": [
            {"id": i + 1, "image_id": i // 3, "category_id": i % 3, "segmentation": SQUARE, "area": 576.0,
             "bbox": [10.0, 10.0, 24.0, 24.0], "iscrowd": 0}
            for i in range(6 * CALLS)
        ],
    },
    list("abc"), max_detections=100, backend="hotcoco",
)  # fmt: skip


def make_call(index: int, score: float = 0.5) -> partial[Part]:
    """Detections of two pictures, made under inference mode as a model's are; some match an object by luck."""
    draw = torch.Generator().manual_seed(index)
    with torch.inference_mode():
        corners = torch.rand(2, 7, 2, generator=draw) * 8
        detections = Detections(
            torch.cat((corners, corners + 12), dim=2),
            torch.rand(2, 7, generator=draw) * score,
            torch.randint(0, 3, (2, 7), generator=draw),
            (torch.rand(2, 7, 14, 14, generator=draw) + 0.6).clamp(max=1),
            torch.rand(2, 7, generator=draw) < 0.8,
        )
        sizes, indices = torch.tensor([[48, 64]]).expand(2, 2), torch.tensor([2 * index, 2 * index + 1])
        matcher = EVALUATOR.matcher(indices.tolist())
        return partial(find_part, detections, sizes, sizes * 2, indices, paste="continuous", matcher=matcher)


def scores() -> dict[str, float]:
    """Those that an object defines."""
    return {name: score for name, score in EVALUATOR.compute().items() if not math.isnan(score)}


def test_processes_give_the_same_results_in_the_order_of_the_calls() -> None:
    at_once, workers = ResultWorkers(0), ResultWorkers(2)
    calls = [make_call(i) for i in range(CALLS)]
    expected = [part for call in calls for part in at_once.call(call)]
    found: list[Part] = []
    for call in calls:
        found += workers.call(call)
        assert len(workers.waiting) <= 2 * AHEAD
    found += workers.finish()
    workers.close()
    assert [part.predictions for part in found] == [part.predictions for part in expected]
    assert [list(part.predictions) for part in found] == [[2 * i, 2 * i + 1] for i in range(CALLS)]
    assert all(result["segmentation"]["counts"] for result in found[0].predictions[0])
    EVALUATOR.join(found)
    from_processes = scores()
    EVALUATOR.reset()
    for part in found:
        EVALUATOR.update(part.predictions)  # matches them anew
    assert from_processes == scores() and all(0 < score < 1 for score in from_processes.values())


def test_what_processes_get_is_no_larger_for_the_memory_that_it_lies_in() -> None:
    call = make_call(0)
    detections, *numbers = call.args
    pieces = [torch.cat((number.flatten(), torch.zeros(2**20, dtype=torch.int64))) for number in numbers]
    views = [piece[: number.numel()].view(number.shape) for piece, number in zip(pieces, numbers)]
    written, arrays = _to_bytes(partial(find_part, detections, *views, **call.keywords))
    assert len(written) + sum(map(len, arrays)) < 20_000
    assert pickle.loads(written, buffers=arrays)().predictions == call().predictions and call().predictions[0]


def test_what_processes_need_is_begun_before_the_first_call(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "from multiprocessing import forkserver\n"
        "from maskrcnn.engine.result_workers import ResultWorkers\n"
        "if __name__ == '__main__':\n"
        "    for count in (0, 1):\n"
        "        workers = ResultWorkers(count)\n"
        "        workers.start()\n"
        "        print(forkserver._forkserver._forkserver_pid is not None, workers.waiting)\n"
        "        workers.close()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["False deque([])", f"{sys.platform == 'linux'} deque([])"], done.stderr


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


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="needs Linux's signals")
def test_signals_to_all_processes_are_left_to_the_main_one(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import os, signal, sys\n"
        "from maskrcnn.engine.result_workers import ResultWorkers\n"
        "class Pid:\n"
        "    def __call__(self):\n"
        "        return {os.getpid(): []}\n"
        "if __name__ == '__main__':\n"
        "    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):\n"
        "        signal.signal(number, lambda *_: None)\n"
        "    workers = ResultWorkers(1)\n"
        "    for _ in range(2):\n"
        "        found = [*workers.call(Pid()), *workers.finish()]\n"
        "        print(*found[0], flush=True)\n"
        "        sys.stdin.readline()\n"
        "    workers.close()\n"
    )
    main = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert main.stdin is not None and main.stdout is not None
    worker = int(main.stdout.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        os.killpg(main.pid, number)
    main.stdin.write("\n\n")
    main.stdin.flush()
    assert int(main.stdout.readline()) == worker
    assert main.wait(timeout=60) == 0


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
