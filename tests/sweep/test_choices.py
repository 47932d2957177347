"""Which trials a sweep refuses."""

from typing import Any

from maskrcnn.sweep.choices import check_sweep

ONE_DEVICE = [{}, {"devices": 1}, {"devices": "1"}, {"devices": [3], "num_nodes": 1}]
SEVERAL = [{"devices": 2}, {"devices": "auto"}, {"devices": [0, 1]}, {"num_nodes": 2}]


def refusal(trainer: dict[str, Any]) -> str:
    try:
        check_sweep(trainer)
    except ValueError as error:
        return str(error)
    return ""


def test_a_sweep_on_several_devices_is_refused_and_no_other() -> None:
    assert [refusal(trainer) for trainer in ONE_DEVICE] == [""] * len(ONE_DEVICE)
    assert all("start each trial by a command of its own" in refusal(trainer) for trainer in SEVERAL)
