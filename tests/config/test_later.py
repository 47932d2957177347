"""Configurations from before some keys existed: read on with the values of before, and otherwise refused."""

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.config.check import check_call, resolve_target
from maskrcnn.config.compose import check
from maskrcnn.config.later import LATER, MOST_VALUES, add_later, renew
from maskrcnn.engine.restore import override_config
from maskrcnn.engine.train import train

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def first() -> dict[str, Any]:
    """The configuration in the very first checkpoints."""
    return json.loads((GOLDEN / "first_configuration.json").read_text())  # type: ignore[no-any-return]


def test_the_first_configuration_is_read_on(first: dict[str, Any]) -> None:
    kept = copy.deepcopy(first)
    with pytest.raises(ValueError, match="is missing"):
        check(override_config(first, []), train)
    config, added = add_later(first)
    check(override_config(config, []), train)
    assert first == kept
    assert len(added) == len(LATER)  # each entry is of use
    assert config["model"]["box_head"]["nms"] == "greedy"
    assert config["data"]["stretch"] is None
    assert config["data"]["group_by_aspect"] is False  # not what conf/ says today
    assert add_later(config) == (config, {})


@pytest.mark.parametrize("later", LATER, ids=lambda later: f"{later.target.rpartition('.')[2]}.{later.key}")
def test_each_key_is_one_of_its_target(later: Any) -> None:
    values = {} if later.key == "_partial_" else {later.key: later.before}
    target = resolve_target(later.target, "", []) if later.target else train
    with pytest.raises(ValueError, match="is missing") as refused:  # of the others; neither unknown nor of a wrong type
        check_call(target, values, "")
    assert later.key not in str(refused.value)


def test_a_node_of_another_class_gets_none(first: dict[str, Any]) -> None:
    first["model"]["box_head"]["_target_"] = "mypackage.MyHead"
    assert "nms" not in add_later(first)[0]["model"]["box_head"]


def test_a_configuration_without_end_is_refused(first: dict[str, Any]) -> None:
    """Each of these took minutes, or all of the memory."""
    laughs: list[Any] = ["ha"]
    for _ in range(40):
        laughs = [laughs, laughs]
    itself: dict[str, Any] = {}
    itself["a"] = itself
    for value in (laughs, itself, [1.0] * MOST_VALUES):
        first["model"]["anchors"]["scales"] = value
        with pytest.raises(ValueError, match="^a.ckpt was not opened: its configuration holds more than 100000 values"):
            renew(first, "a.ckpt")


def test_one_warning_names_what_was_added(first: dict[str, Any]) -> None:
    whole = add_later(first)[0]
    cut = copy.deepcopy(whole)
    del cut["data"]["stretch"], cut["model"]["box_head"]["nms"]
    with pytest.warns(UserWarning, match="old.ckpt") as told:
        assert renew(cut, "old.ckpt") == whole
    assert [str(one.message) for one in told] == [
        "old.ckpt is from 2026-11-26 or before; keys that came later are as it was then: model.box_head.nms=greedy, "
        "data.stretch=null"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        renew(whole, "new.ckpt")
