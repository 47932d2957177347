"""Which changes of a configuration make another run of it."""

import pytest

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.identity import essence, identity


def of(*overrides: str) -> str:
    return identity(to_plain(compose([*overrides])))


@pytest.mark.parametrize(
    "override",
    [
        "run_dir=elsewhere",
        "resume=elsewhere",
        "data.workers=7",
        "logger=csv",
        "callbacks.progress.every_n_steps=3",
        "callbacks.last.every_n_minutes=1",
    ],
)
def test_what_does_not_change_the_result_does_not_count(override: str) -> None:
    assert of("run_dir=runs/b", override) == of("run_dir=runs/a")


@pytest.mark.parametrize("override", ["seed=1", "optimizer.lr=0.001", "backbone=resnet18", "data.root=elsewhere"])
def test_what_may_change_the_result_counts(override: str) -> None:
    assert of(override) != of()


def test_a_folder_is_told_from_one_whose_name_begins_alike() -> None:
    config = {"run_dir": "runs/a", "within": "runs/a/x", "beside": "runs/ab", "list": ["runs/a"]}
    assert essence(config) == {"within": "${run_dir}/x", "beside": "runs/ab", "list": ["${run_dir}"]}


def test_order_of_keys_does_not_count() -> None:
    assert identity({"a": 1, "b": {"c": 2, "d": 3}}) == identity({"b": {"d": 3, "c": 2}, "a": 1})
