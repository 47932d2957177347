"""Data that a checkpoint is scored on."""

import shlex

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.restore import override_config
from maskrcnn.engine.scored import other_classes


def test_classes_in_another_order_are_ordered_by_the_override_that_is_named() -> None:
    classes = ["cat", "Käfer", "blue thing", "7", "no", "it's", 'a "b"', "x, y: z"]
    said = other_classes(classes, ["dog", *reversed(classes)])
    (argument,) = shlex.split(said.rpartition("order them by ")[2])  # as a shell does
    (override,) = to_plain(compose([argument, "checkpoint=x"], "evaluate"))["override"]
    changed = override_config({"data": {"class_map": None}}, [override])
    assert list(changed["data"]["class_map"].items()) == [(name, [name]) for name in classes]
    missing = other_classes(["cat", "dog"], ["cat"])
    assert "classes that the data has under no name (dog), add an entry to 'categories'" in missing
