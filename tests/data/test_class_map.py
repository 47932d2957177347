from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.annotations import CocoAnnotations, read_annotations
from maskrcnn.data.class_map import join, join_classes, map_classes
from maskrcnn.data.source import CocoSource, Split
from maskrcnn.data.views import Chosen, take_census

WriteSet = Callable[..., CocoSource]
NAMED = [["bus", "car", "bus"], [], ["van"], ["dog", "car"]]  # alphabetical ids from 5 on: bus 5, car 6, dog 7, van 8


@pytest.fixture
def vehicles(write_set: WriteSet, tmp_path: Path) -> CocoAnnotations:
    return read_annotations(write_set("a", NAMED, first_id=5).splits(tmp_path)[0].train)


def labels(annotations: CocoAnnotations) -> list[list[str]]:
    return [[annotations.classes[label] for label in record.objects.labels] for record in annotations.records]


def test_classes_are_chosen_merged_and_renamed(vehicles: CocoAnnotations) -> None:
    mapped = map_classes(vehicles, {"pet": ["dog"], "vehicle": ["van", "bus"]})
    assert (mapped.classes, mapped.category_ids) == (("pet", "vehicle"), (7, 8))
    assert labels(mapped) == [["vehicle", "vehicle"], [], ["vehicle"], ["pet"]]
    kept = vehicles.records[0].objects
    first = mapped.records[0].objects
    np.testing.assert_array_equal(first.boxes, kept.boxes[[0, 2]])
    np.testing.assert_array_equal(first.areas, kept.areas[[0, 2]])
    assert first.masks == [kept.masks[0], kept.masks[2]]
    truth = mapped.ground_truth()
    assert [(a["image_id"], a["category_id"]) for a in truth["annotations"]] == [(0, 1), (0, 1), (2, 1), (3, 0)]
    assert truth["categories"] == [{"id": 0, "name": "pet"}, {"id": 1, "name": "vehicle"}]


def test_the_same_classes_change_nothing(vehicles: CocoAnnotations) -> None:
    assert map_classes(vehicles, {name: [name] for name in vehicles.classes}).ground_truth() == vehicles.ground_truth()


def test_crowds_follow_their_class(tiny: dict[str, Any], write: Callable[[dict[str, Any]], Split]) -> None:
    annotations = read_annotations(write(tiny))  # a dog, and a crowd of cats
    crowds = [map_classes(annotations, {"one": [name]}).records[0].crowds.labels.tolist() for name in ("cat", "dog")]
    assert crowds == [[0], []]


@pytest.mark.parametrize(
    "class_map, message",
    [
        ({"a": ["bus", "cra"]}, r"data\.class_map\.a: .*train\.json has no class 'cra'\. Did you mean car"),
        ({"a": ["zebra"]}, r"has no class 'zebra'\. There are bus, car, dog, van\."),
        ({"a": ["bus"], "b": ["car", "bus"]}, r"data\.class_map lists 'bus' twice; an object has one class"),
        ({"a": []}, r"data\.class_map\.a is \[\]; give a name, and the list"),
        ({1: ["bus"]}, r"data\.class_map\.1 is \['bus'\]; give a name"),
        ({}, r"data\.class_map lists no class; null keeps"),
    ],
)
def test_unusable_maps_are_refused(vehicles: CocoAnnotations, class_map: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        map_classes(vehicles, class_map)


def test_sets_are_joined_by_the_names_of_classes(write_set: WriteSet, tmp_path: Path) -> None:
    named = {"a": [["bus"], ["car", "bus"]], "b": [["dog", "bus"], [], ["dog"]]}
    parts = {
        name: read_annotations(write_set(name, named[name], first_id=1).splits(tmp_path)[0].train) for name in named
    }
    classes, ids = join_classes(list(parts.values()))
    assert (classes, ids) == (("bus", "car", "dog"), (1, 2, 3))  # bus 1, car 2; bus 1, dog 2: numbered anew
    joined = join(parts, classes, ids)
    assert labels(joined) == [*named["a"], *named["b"]]
    assert [record.id for record in joined.records] == ["a/100", "a/101", "b/100", "b/101", "b/102"]
    assert [record.path.parent.parent.name for record in joined.records] == ["a", "a", "b", "b", "b"]
    assert [part.file.relative_to(tmp_path).as_posix() for part in parts.values()] == ["a/train.json", "b/train.json"]
    assert joined.file == tmp_path / "{a/train.json,b/train.json}"
    assert joined.records[-1].id == "b/102"
    with pytest.raises(IndexError):
        joined.records[5]
    alone = join({"b": parts["b"]}, classes, ids)
    assert labels(alone) == named["b"]
    assert [record.id for record in alone.records] == [100, 101, 102]


def test_category_ids_stay_where_sets_agree(write_set: WriteSet, tmp_path: Path) -> None:
    parts = [
        read_annotations(write_set(name, named, first_id=first).splits(tmp_path)[0].train)
        for name, named, first in (("a", [["x", "y"]], 4), ("b", [["y"]], 5))
    ]
    assert join_classes(parts) == (("x", "y"), (4, 5))


def test_a_census_is_what_a_count_of_the_records_gives(
    write_set: WriteSet, tmp_path: Path, tiny: dict[str, Any], write: Callable[[dict[str, Any]], Split]
) -> None:
    rng = np.random.default_rng(0)
    parts = {"tiny": read_annotations(write(tiny))}  # with a crowd region, which does not count
    for name, classes in (("a", ["x", "y", "z"]), ("b", ["y", "cat"])):
        source = write_set(name, [classes, *(list(rng.choice(classes, rng.integers(4))) for _ in range(8))])
        parts[name] = read_annotations(source.splits(tmp_path)[0].train)
    joined = join(parts, *join_classes(list(parts.values())))
    chosen = Chosen(joined.records, np.array([17, 2, 0, 9, 10, 5, 1, 2]))
    mapped = map_classes(
        CocoAnnotations(joined.file, joined.classes, joined.category_ids, chosen), {"p": ["y"], "q": ["x", "dog"]}
    )
    for records in (*(part.records for part in parts.values()), joined.records, chosen, mapped.records):
        census = take_census(records)
        assert census.counts.tolist() == [len(record.objects.labels) for record in records]
        assert census.labels.tolist() == [label for record in records for label in record.objects.labels]
        assert census.sizes.tolist() == [[record.height, record.width] for record in records]
        assert census.portrait.tolist() == [record.height > record.width for record in records]


def test_chosen_pictures(vehicles: CocoAnnotations) -> None:
    chosen = Chosen(vehicles.records, np.array([3, 0]))
    assert [record.id for record in chosen] == [103, 100]
    assert chosen[-1].id == 100
