"""Data that a checkpoint is scored on."""

import yaml

from maskrcnn.engine.scored import other_classes


def test_classes_in_another_order_are_ordered_by_the_override_that_is_named() -> None:
    said = other_classes(["cat", "Käfer", "blue thing"], ["blue thing", "dog", "Käfer", "cat"])
    _, _, override = said.partition("data.class_map=")
    class_map = yaml.safe_load(override.removesuffix("\"]'"))
    assert list(class_map.items()) == [("cat", ["cat"]), ("Käfer", ["Käfer"]), ("blue thing", ["blue thing"])]
    missing = other_classes(["cat", "dog"], ["cat"])
    assert "classes that the data has under no name (dog), add an entry to 'categories'" in missing
