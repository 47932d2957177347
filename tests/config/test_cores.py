import os

import pytest

from maskrcnn.config.compose import compose
from maskrcnn.config.cores import up_to_cores


def test_no_more_workers_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert [up_to_cores(number) for number in (1, 2, 4)] == [1, 2, 2]
    assert compose(["data=coco", "data.root=x"]).data.workers == 2
    assert compose(["data=coco", "data.root=x", "data.workers=4"]).data.workers == 4
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert up_to_cores(4) == 4
