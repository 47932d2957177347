import os
from pathlib import Path

import pytest

from maskrcnn.config.compose import compose
from maskrcnn.config.cores import cores, keep_to_quota, up_to_cores


def test_no_more_workers_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert [up_to_cores(number) for number in (1, 2, 4)] == [1, 2, 2]
    assert compose(["data=coco", "data.root=x"]).data.workers == 2
    assert compose(["data=coco", "data.root=x", "data.workers=4"]).data.workers == 4
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert up_to_cores(4) == 4


@pytest.mark.parametrize(
    ("files", "number"),
    [
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "1600000 100000\n"}, 8),  # more than the host has
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({}, 8),
    ],
)
def test_a_container_has_as_many_as_its_quota(
    files: dict[str, str], number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    monkeypatch.setattr("maskrcnn.config.cores.CGROUP", tmp_path)
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert cores() == number and up_to_cores(4) == min(number, 4)


def test_torch_keeps_to_a_quota_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    monkeypatch.setattr("maskrcnn.config.cores.CGROUP", tmp_path)
    for given, quota, expected in [("7", "200000", "7"), (None, "200000", "2"), (None, "max", None)]:
        (tmp_path / "cpu.max").write_text(f"{quota} 100000\n")
        monkeypatch.setenv("OMP_NUM_THREADS", given or "")
        if given is None:
            monkeypatch.delenv("OMP_NUM_THREADS")
        keep_to_quota()
        assert os.environ.get("OMP_NUM_THREADS") == expected
