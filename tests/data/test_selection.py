import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.mixed import Member, MixedSource
from maskrcnn.data.selection import Selected, Selection
from maskrcnn.data.source import CocoSource, Source

WriteSet = Callable[..., CocoSource]
TRAIN = [["a"], ["a", "b"], [], ["a"], ["b"], ["a"], [], ["a", "b"], ["a"], ["c"]]


def selection(**choices: Any) -> Selection:
    nothing: dict[str, Any] = {
        "fold": None,
        "folds": None,
        "val_fraction": None,
        "fold_group": None,
        "fold_seed": 0,
        "fraction": 1.0,
        "class_map": None,
        "repeat_threshold": 0.0,
    }
    return Selection(**{**nothing, **choices})


def names(annotations: CocoAnnotations) -> list[int]:
    return [int(record.path.stem) for record in annotations.records]


@pytest.fixture
def select(write_set: WriteSet, tmp_path: Path) -> Callable[..., Selected]:
    """Selects from ten pictures of three classes, with or without a validation file of two."""
    made: dict[bool, CocoSource] = {}

    def make(val: bool = False, **choices: Any) -> Selected:
        if val not in made:
            made[val] = write_set("with" if val else "without", TRAIN, [["a"], ["b", "c"]] if val else None)
        return selection(**choices).read(made[val].splits(tmp_path))

    return make


def test_nothing_chosen_changes_nothing(select: Callable[..., Selected]) -> None:
    selected = select(val=True)
    assert (names(selected.train), names(selected.val), selected.notes) == (list(range(10)), [0, 1], [])
    assert selected.factors.tolist() == [1] * 10
    assert selected.census.counts.tolist() == [len(picture) for picture in TRAIN]
    assert selected.census.portrait.tolist() == [i % 3 == 0 for i in range(10)]


@pytest.mark.parametrize("val", [False, True])
def test_folds_divide_the_training_file(select: Callable[..., Selected], val: bool) -> None:
    parts = [select(val=val, fold=fold, folds=5) for fold in range(5)]
    assert sorted(name for part in parts for name in names(part.val)) == list(range(10))
    for part in parts:
        assert sorted(names(part.train) + names(part.val)) == list(range(10))
        assert names(part.train) == sorted(names(part.train))
    held = [Counter(name for i in names(part.val) for name in TRAIN[i] or ["nothing"]) for part in parts]
    assert {count["a"] for count in held} <= {1, 2}  # 7 in all
    assert all(max(count[name] for count in held) == 1 for name in ("b", "c", "nothing"))
    (note,) = parts[3].notes
    unused = r", .*with/val\.json is not used" if val else ""
    assert re.fullmatch(rf"fold 3 of 5 of train\.json: 8 pictures to learn, 2 to validate{unused}", note)


def test_folds_depend_on_their_own_seed(select: Callable[..., Selected]) -> None:
    held = [[names(select(fold=fold, folds=2, fold_seed=seed).val) for fold in (0, 1)] for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]


def test_folds_are_the_same_for_any_class_map(select: Callable[..., Selected]) -> None:
    held = [names(select(fold=1, folds=3, class_map=one).val) for one in (None, {"x": ["a", "b"]}, {"y": ["c", "a"]})]
    assert held[0] == held[1] == held[2]


def test_groups_of_names_stay_in_one_fold(select: Callable[..., Selected]) -> None:
    # One text for 0 to 4, and each of 5 to 9 for itself.
    folds = [names(select(fold=fold, folds=3, fold_group=r"()^[0-4]|^(\d)").val) for fold in range(3)]
    assert sorted(itertools.chain(*folds)) == list(range(10))
    assert sorted(len(set(fold) & {0, 1, 2, 3, 4}) for fold in folds) == [0, 0, 5]


def test_a_file_listed_twice_stays_in_one_part(write_set: WriteSet, tmp_path: Path) -> None:
    source = write_set("twice", TRAIN, None)
    path = tmp_path / "twice" / "train.json"
    dataset = json.loads(path.read_text())
    dataset["images"] += [{**image, "id": 1000 + image["id"]} for image in dataset["images"]]
    path.write_text(json.dumps(dataset))
    for choices in ({"fold": 0, "folds": 3}, {"val_fraction": 0.4}):
        selected = selection(**choices).read(source.splits(tmp_path))
        assert len(names(selected.train)) + len(names(selected.val)) == 20
        assert set(names(selected.train)).isdisjoint(names(selected.val))


def test_folds_leave_the_validation_file_aside(write_set: WriteSet, tmp_path: Path) -> None:
    sources = write_set("with", TRAIN, [["a"]]).splits(tmp_path)
    assert selection().used(sources) == sources
    (used,) = selection(fold=0, folds=2).used(sources)
    assert (used.train, used.val) == (sources[0].train, None)


def test_nothing_left_to_learn_says_after_what(select: Callable[..., Selected]) -> None:
    said = r"of a single object after classes x .*left out.*; data\.fraction=0\.1: 1 of 10 training pictures: there is"
    with pytest.raises(ValueError, match=said):
        select(val=True, class_map={"x": ["b"]}, fraction=0.1)


def test_a_share_validates(select: Callable[..., Selected]) -> None:
    selected = select(val_fraction=0.2)
    assert len(names(selected.val)) == 2
    assert sorted(names(selected.train) + names(selected.val)) == list(range(10))
    assert selected.notes == ["data.val_fraction=0.2 of train.json: 8 pictures to learn, 2 to validate"]


def test_smaller_shares_are_parts_of_larger_ones(select: Callable[..., Selected]) -> None:
    shares = [names(select(val=True, fraction=share).train) for share in (0.01, 0.2, 0.5, 0.75, 1.0)]
    assert [len(share) for share in shares] == [1, 2, 5, 8, 10]
    assert all(set(less) < set(more) for less, more in zip(shares, shares[1:]))
    assert names(select(val=True, fraction=0.5, fold_seed=1).train) != shares[2]
    one = select(val=True, fraction=0.5)
    assert names(one.train) == shares[2]
    assert names(one.val) == [0, 1]
    assert (one.notes, one.learning_notes) == ([], ["data.fraction=0.5: 5 of 10 training pictures"])
    assert one.census.counts.tolist() == [len(TRAIN[i]) for i in shares[2]]


def test_what_a_class_map_leaves_out_is_counted(select: Callable[..., Selected]) -> None:
    selected = select(val=True, class_map={"x": ["a"]})
    assert selected.train.classes == selected.val.classes == ("x",)
    assert selected.census.labels.tolist() == [0] * 6
    assert selected.notes == [
        "classes x (4 training and 2 validation objects of 2 others left out; in training b 3, c 1)"
    ]
    assert select(val=True, class_map={"x": ["a", "b"], "y": ["c"]}).notes == ["classes x, y"]


def test_rare_classes_come_more_often(select: Callable[..., Selected]) -> None:
    selected = select(val=True, repeat_threshold=0.4)
    # b is in 3 of 10 pictures, c in 1.
    expected = [2.0 if "c" in one else (4 / 3) ** 0.5 if "b" in one else 1.0 for one in TRAIN]
    np.testing.assert_allclose(selected.factors, expected)
    assert (selected.notes, selected.learning_notes) == ([], ["repeat factors 1.00 to 2.00"])


@pytest.fixture
def mixture(write_set: WriteSet) -> Callable[..., Source]:
    def make(weights: tuple[float, float], vals: tuple[Any, Any]) -> MixedSource:
        parts = (("one", [["a"], ["b"]]), ("two", [["b", "c"], ["c"], []]))
        return MixedSource(
            sources={
                name: Member(root=".", source=write_set(name, train, val), weight=weight)
                for (name, train), val, weight in zip(parts, vals, weights, strict=True)
            }
        )

    return make


def test_mixed_sets_are_learnt_by_their_weights(mixture: Callable[..., Source], tmp_path: Path) -> None:
    source = mixture((1.0, 2.0), ([["a", "b"]], [["b", "c"], []]))
    source.prepare(tmp_path)
    selected = selection().read(source.splits(tmp_path))
    assert selected.train.classes == selected.val.classes == ("a", "b", "c")
    assert [record.objects.labels.tolist() for record in selected.train.records] == [[0], [1], [1, 2], [2], []]
    assert [record.objects.labels.tolist() for record in selected.val.records] == [[0, 1], [1, 2], []]
    assert selected.factors.tolist() == [1, 1, 2, 2, 2]
    assert selected.notes == []
    assert selected.learning_notes == [
        "one: 2 pictures x 1 (its file lacks c: such objects count as background)",
        "two: 3 pictures x 2 (its file lacks a: such objects count as background)",
    ]
    joined = selection(class_map={"x": ["a", "c"], "y": ["b"]}).read(source.splits(tmp_path))
    assert joined.learning_notes == ["one: 2 pictures x 1", "two: 3 pictures x 2"]
    for seed in range(4):
        some = selection(fraction=0.6, fold_seed=seed).read(source.splits(tmp_path))
        assert some.factors.tolist() == [1 if record.id.startswith("one/") else 2 for record in some.train.records]
    both = selection(repeat_threshold=0.9).read(source.splits(tmp_path))
    rare = (0.9 / 0.2) ** 0.5, (0.9 / 0.4) ** 0.5  # a is in 1 of 5 pictures, b and c in 2
    np.testing.assert_allclose(both.factors, [rare[0], rare[1], 2 * rare[1], 2 * rare[1], 2])


def test_mixed_sets_of_which_one_validates(mixture: Callable[..., Source], tmp_path: Path) -> None:
    selected = selection().read(mixture((1.0, 1.0), (None, [["c"], ["b", "c"]])).splits(tmp_path))
    assert selected.val.classes == ("a", "b", "c")
    assert [record.objects.labels.tolist() for record in selected.val.records] == [[2], [1, 2]]
    assert [record.id for record in selected.val.records] == [100, 101]


def test_each_mixed_set_is_divided(mixture: Callable[..., Source], tmp_path: Path) -> None:
    splits = mixture((1.0, 3.0), (None, None)).splits(tmp_path)
    parts = [selection(fold=fold, folds=2).read(splits) for fold in (0, 1)]
    held = [[str(record.id) for record in part.val.records] for part in parts]
    assert sorted(itertools.chain(*held)) == ["one/100", "one/101", "two/100", "two/101", "two/102"]
    assert all(sum(id_.startswith("one") for id_ in fold) == 1 for fold in held)
    for part in parts:
        assert part.factors.tolist() == [3.0 if str(r.id).startswith("two") else 1.0 for r in part.train.records]
    small = selection(fold=0, folds=2, fraction=0.5).read(splits)
    assert small.factors.tolist() == [3.0 if str(r.id).startswith("two") else 1.0 for r in small.train.records]


def test_a_mixed_set_that_is_not_there(write_set: WriteSet, tmp_path: Path) -> None:
    source = write_set("one", [["a"]], [["a"]])
    mixed = MixedSource(sources={"x": Member(root="elsewhere", source=source, weight=1.0)})
    nested = MixedSource(sources={"y": Member(root=".", source=mixed, weight=1.0)})
    for one, key in ((mixed, r"data\.source\.sources\.x"), (nested, r"data\.source\.sources\.y\.source\.sources\.x")):
        lacks = rf"{key}: no directory .*elsewhere/one/train: set data\.root or {key}\.source\.train_images$"
        with pytest.raises(FileNotFoundError, match=lacks):
            one.prepare(tmp_path)
    with pytest.raises(ValueError, match="weight is 0; give more than 0"):
        Member(root=".", source=source, weight=0)
    with pytest.raises(ValueError, match="sources is empty; name at least one"):
        MixedSource(sources={})


@pytest.mark.parametrize(
    "val, choices, message",
    [
        (
            False,
            {},
            r"nothing to validate on: give data\.source\.val_images .* data\.val_fraction=0\.2, or by data\.fold=0",
        ),
        (
            True,
            {"val_fraction": 0.2},
            r"data\.val_fraction=0\.2 takes .* there is a validation file, .*val\.json: set .* data\.fold=0 "
            r"data\.folds=5 leaves that file aside$",
        ),
        (False, {"fold": 0, "folds": 11}, r"data\.folds=11 leaves a part without .* has 10 pictures in 10 groups"),
        (False, {"fold": 0, "folds": 2, "fold_group": "(png)"}, r"data\.folds=2 leaves .* 10 pictures in 1 groups"),
        (False, {"val_fraction": 0.01}, r"data\.val_fraction=0\.01 leaves a part without any picture"),
        (
            False,
            {"fold": 0, "folds": 2, "fold_group": "^(x)"},
            r"does not match 10 of the 10 pictures: 0\.png, .*\.\.\.",
        ),
    ],
)
def test_impossible_selections_are_refused(
    select: Callable[..., Selected], val: bool, choices: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        select(val=val, **choices)


@pytest.mark.parametrize(
    "choices, message",
    [
        ({"fold": 1}, r"data\.fold=1 needs the other of the two: data\.fold=0 data\.folds=5"),
        ({"folds": 5}, r"data\.folds=5 needs the other of the two"),
        ({"fold": 5, "folds": 5}, r"data\.fold is 5 of data\.folds=5; give 2 or more, and one of 0 to folds - 1"),
        ({"fold": 0, "folds": 1}, r"data\.fold is 0 of data\.folds=1"),
        ({"fold": 0, "folds": 5, "val_fraction": 0.2}, r"data\.folds=5 and data\.val_fraction=0\.2 contradict"),
        ({"val_fraction": 1.0}, r"data\.val_fraction is 1\.0; give a share between 0 and 1"),
        ({"fraction": 0.0}, r"data\.fraction is 0\.0; give more than 0 and at most 1"),
        ({"repeat_threshold": 1.5}, r"data\.repeat_threshold is 1\.5; give a share"),
        ({"fold_seed": -1}, r"data\.fold_seed is -1; give 0 or more"),
        ({"fold_group": "(a"}, r"data\.fold_group=\(a is not a regular expression: missing \)"),
        ({"fold_group": "(a)"}, r"data\.fold_group=\(a\) keeps pictures in one part, but there are no parts: give"),
        ({"fold_group": "a"}, r"data\.fold_group=a captures nothing; put what a group shares in parentheses"),
    ],
)
def test_unusable_choices_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        selection(**choices)


def test_half_a_validation_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"val_images is v, val_annotations null; give both, or null for both"):
        CocoSource(train_images="t", train_annotations="t.json", val_images="v", val_annotations=None)
