"""Sentences stay short, whatever the number of classes."""

import pytest

from maskrcnn.data.few import counted, few_names, unlike_names
from maskrcnn.prediction.thresholds import Thresholds

MANY = [f"c{i}" for i in range(1203)]


def test_of_many_names_the_first_twenty_are_listed() -> None:
    assert few_names(["cat", "dog"]) == "cat, dog"
    assert few_names(MANY) == ", ".join(MANY[:20]) + ", ... (1203 in all)"


def test_short_lists_that_differ_are_whole() -> None:
    assert unlike_names(["cat", "dog"], ["dog"]) == ("cat, dog", "dog")


def test_long_lists_are_shown_where_they_differ() -> None:
    swapped = [*MANY[:1000], MANY[1001], MANY[1000], *MANY[1002:]]
    said = unlike_names(MANY, swapped)
    assert said[0].startswith("..., c999, c1000, c1001, c1002,") and said[0].endswith(", c1018, ... (1203 in all)")
    assert said[1].startswith("..., c999, c1001, c1000, c1002,") and said[1].endswith(", c1018, ... (1203 in all)")
    assert unlike_names(MANY, MANY[:1200])[1] == "..., c1199, ... (1200 in all)"


def test_thresholds_of_many_classes_are_refused_in_short() -> None:
    with pytest.raises(ValueError, match=r"but the checkpoint's classes are c0, .*, c19, \.\.\. \(1203 in all\)$"):
        Thresholds({"x": 0.5}, MANY)
    with pytest.raises(ValueError, match=r"no number for c1, .*, c20, \.\.\. \(1202 in all\); give"):
        Thresholds({"c0": 0.5}, MANY)


def test_one_thing_stands_in_the_singular() -> None:
    said = [counted(1, "class"), counted(2, "class"), counted(0, "picture"), counted(1, "crowd region")]
    assert said == ["1 class", "2 classes", "0 pictures", "1 crowd region"]
